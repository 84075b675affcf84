"""Questions about drawn pictures, with their true answers, as turns of a conversation.

A turn is (task, question, answer). The forms of grounding are the family's:
`<|ref|>the red star<|/ref|>` is answered by the phrase and `<|det|>[[x1, y1, x2, y2]]<|/det|>`,
coordinates from 0 to 999 along the sides of the whole picture.
"""
import re

from draw import COLOUR_NAMES, PLURALS, SHAPES

TASKS = ["box", "several", "absent", "describe", "count", "colour", "shape", "number", "yesno",
         "picture"]
MOST_BOXES = 7


def coordinates(box, size):
    """A box in pixels as the four numbers of an answer."""
    scaled = [v * 999 / size[i % 2] for i, v in enumerate(box)]
    return [max(0, min(999, int(round(v)))) for v in scaled]


def boxes_text(things, size):
    boxes = ["[%d, %d, %d, %d]" % tuple(coordinates(t.box, size)) for t in things]
    return "<|det|>[" + ", ".join(boxes) + "]<|/det|>"


def _article(name):
    return ("an " if name[0] in "aeio" else "a ") + name


def shapes_of(things):
    return [t for t in things if t.kind != "number"]


def _matches(things, kind, colour):
    """Things of a kind ("" is any shape) and a colour ("" is any)."""
    return [t for t in things if (t.kind == kind if kind else t.kind != "number") and
            (not colour or t.colour == colour)]


def _name(kind, colour, plural):
    noun = (kind or "shape") if not plural else PLURALS.get(kind, "shapes")
    return (colour + " " + noun) if colour else noun


def _pick(rng, things, absent=.1):
    """A kind and a colour to ask for; sometimes nothing in the picture matches."""
    shapes = shapes_of(things)
    if not shapes or rng.random() < absent:
        kind, colour = rng.choice(SHAPES), rng.choice(COLOUR_NAMES)
        if shapes and rng.random() < .6:  # half right: the hard case
            known = rng.choice(shapes)
            kind, colour = (known.kind, colour) if rng.random() < .5 else (kind, known.colour)
    else:
        thing = rng.choice(shapes)
        kind, colour = thing.kind, thing.colour
    form = rng.random()
    if form < .5:
        return kind, colour
    return (kind, "") if form < .8 else ("", colour)


def ground(rng, things, size):
    """`<|ref|>phrase<|/ref|>` and the boxes of all that match."""
    numbers = [t for t in things if t.kind == "number"]
    if numbers and rng.random() < .15:
        number = numbers[0]
        phrase = "the number" if rng.random() < .5 else "the number " + number.text
        matches, kind, colour = [number], "number", ""
    else:
        kind, colour = _pick(rng, things)
        matches = _matches(things, kind, colour)
        plural = len(matches) > 1 and rng.random() < .7
        phrase = _name(kind, colour, plural)
        article = rng.random()
        if article < .8:
            phrase = "the " + phrase
        elif article < .87 and not plural:
            phrase = _article(phrase)
    if len(matches) > MOST_BOXES:
        return None
    question = "<|ref|>%s<|/ref|>%s" % (phrase, "." if rng.random() < .85 else "")
    if not matches:
        return "absent", question, "There is no %s." % _name(kind, colour, False)
    answer = "<|ref|>%s<|/ref|>%s" % (phrase, boxes_text(matches, size))
    return ("box" if len(matches) == 1 else "several"), question, answer


def _call(thing):
    if thing.kind == "number":
        return "the number " + thing.text
    return _article(thing.colour + " " + thing.kind)


def _list(parts):
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def describe(rng, things, size):
    """A description, with boxes after `<|grounding|>`."""
    if len(things) > 5:
        return None
    command = rng.choice(["Describe the picture.", "Describe this image.",
                          "What is in the picture?", "Can you describe the picture?"])
    if rng.random() < .6:
        parts = ["<|ref|>%s<|/ref|>%s" % (_call(t), boxes_text([t], size)) for t in things]
        return "describe", "<|grounding|>" + command, _list(parts) + "."
    text = _list([_call(t) for t in things])
    return "describe", command, text[0].upper() + text[1:] + "."


def count(rng, things):
    kind, colour = _pick(rng, things, .2)
    if rng.random() < .25:
        kind, colour = "", ""
    question = "How many %s are there?" % _name(kind, colour, True)
    if rng.random() < .15:
        question = "Count the %s." % _name(kind, colour, True)
    return "count", question, str(len(_matches(things, kind, colour)))


def _unique(rng, things, key):
    """A shape whose `key` no other shape has."""
    shapes = shapes_of(things)
    alone = [t for t in shapes if sum(getattr(s, key) == getattr(t, key) for s in shapes) == 1]
    return rng.choice(alone) if alone else None


def colour(rng, things):
    word = rng.choice(["colour", "color"])
    numbers = [t for t in things if t.kind == "number"]
    if numbers and rng.random() < .12:
        return "colour", "What %s is the number?" % word, numbers[0].colour
    thing = _unique(rng, things, "kind")
    return thing and ("colour", "What %s is the %s?" % (word, thing.kind), thing.colour)


def shape(rng, things):
    thing = _unique(rng, things, "colour")
    if thing is None:
        return None
    question = rng.choice(["What shape is %s?" % thing.colour,
                           "What shape is the %s one?" % thing.colour])
    return "shape", question, thing.kind


def number(rng, things):
    numbers = [t for t in things if t.kind == "number"]
    if not numbers:
        return None
    question = rng.choice(["What number is in the picture?", "Read the number.",
                           "What is the number?", "Which number is written there?"])
    return "number", question, numbers[0].text


def yesno(rng, things):
    kind, colour = _pick(rng, things, .5)
    answer = "yes" if _matches(things, kind, colour) else "no"
    return "yesno", "Is there %s?" % _article(_name(kind, colour, False)), answer


def follow_up(rng, turn, things, size):
    """A question that only makes sense after `turn`, or None."""
    task, question, answer = turn
    if task == "box" and "<|ref|>" in question and "number" not in question:
        words = question.split("<|/ref|>")[0].split("<|ref|>")[1].split()
        kind = next((w for w in words if w in SHAPES), "")
        colour = next((w for w in words if w in COLOUR_NAMES), "")
        found = _matches(things, kind, colour)
        if len(found) == 1 and not colour:
            return "colour", rng.choice(["What colour is it?", "And its colour?"]), found[0].colour
        if len(found) == 1 and not kind:
            return "shape", "What shape is it?", found[0].kind
    if task == "count" and question.startswith("How many"):
        words = question.split()
        kind = next((s for s in SHAPES if PLURALS[s] in words), "")
        colour = next((w for w in words if w in COLOUR_NAMES), "")
        found = _matches(things, kind, colour)
        if 0 < len(found) <= MOST_BOXES and rng.random() < .5:
            question = "Where is it?" if len(found) == 1 else "Where are they?"
            name = "the " + _name(kind, colour, len(found) > 1)
            return ("box" if len(found) == 1 else "several"), "<|grounding|>" + question, \
                "<|ref|>%s<|/ref|>%s" % (name, boxes_text(found, size))
        other = rng.choice(SHAPES)
        return "count", "And %s?" % PLURALS[other], str(len(_matches(things, other, "")))
    return None


def about_one(rng, things, size, simple=False):
    """One question about one picture."""
    while True:
        choice = rng.random()
        if choice < (.6 if simple else .48):
            turn = ground(rng, things, size)
        elif choice < .62:
            turn = count(rng, things)
        elif choice < .72:
            turn = colour(rng, things)
        elif choice < .77:
            turn = shape(rng, things)
        elif choice < .87:
            turn = number(rng, things)
        elif choice < .92:
            turn = yesno(rng, things)
        else:
            turn = describe(rng, things, size)
        if turn is not None:
            return turn


def about_several(rng, scenes):
    """One question about two or three pictures; scenes is a list of lists of things."""
    while True:
        index = rng.randrange(len(scenes))
        things, others = scenes[index], [s for i, s in enumerate(scenes) if i != index]
        choice = rng.random()
        if choice < .6:  # which picture contains ...?
            numbers = [t for t in things if t.kind == "number"]
            if numbers and rng.random() < .25:
                text = numbers[0].text
                if any(t.text == text for s in others for t in s):
                    continue
                name = "the number " + text
            else:
                kind, colour = _pick(rng, things, 0)
                if not _matches(things, kind, colour) or \
                        any(_matches(s, kind, colour) for s in others):
                    continue
                name = _name(kind, colour, False)
                name = "the " + name if rng.random() < .6 else _article(name)
            return "picture", "Which picture contains %s?" % name, "picture %d" % (index + 1)
        if choice < .7:
            counts = [len(shapes_of(s)) for s in scenes]
            if counts.count(max(counts)) > 1:
                continue
            most = counts.index(max(counts)) + 1
            return "picture", "Which picture has the most shapes?", "picture %d" % most
        where = " in picture %d?" % (index + 1)
        if choice < .85:
            kind, colour = _pick(rng, things, .2)
            return "count", "How many %s are" % _name(kind, colour, True) + where, \
                str(len(_matches(things, kind, colour)))
        if choice < .93:
            turn = number(rng, things)
            if turn is not None:
                return "number", "What number is" + where, turn[2]
        thing = _unique(rng, things, "kind")
        if thing is not None:
            return "colour", "What colour is the %s" % thing.kind + where, thing.colour


def conversation(rng, pictures, turns, simple=False):
    """Turns about pictures [(size, things)]; the first question carries the <image> tags."""
    made, shown, boxes = [], "", 0
    for _ in range(3 * turns):
        turn = None
        if len(pictures) > 1:
            turn = about_several(rng, [things for _, things in pictures])
        else:
            size, things = pictures[0]
            if made and rng.random() < .35:
                turn = follow_up(rng, made[-1], things, size)
            turn = turn or about_one(rng, things, size, simple)
        # What can be copied from an earlier answer teaches nothing about the picture.
        found = re.findall(r"\d+, \d+, \d+, \d+", turn[2])
        if any(turn[1] == m[1] for m in made) or found and all(b in shown for b in found):
            continue
        boxes += len(found)
        if made and boxes > 9:  # long enough
            break
        shown += turn[2] + ";"
        made.append(turn)
        if len(made) == turns:
            break
    if len(pictures) > 1 and rng.random() < .3:
        tags = "".join("Picture %d: <image>\n" % (i + 1) for i in range(len(pictures)))
    else:
        tags = "<image>\n" * len(pictures)
    task, question, answer = made[0]
    return [(task, tags + question, answer)] + made[1:]
