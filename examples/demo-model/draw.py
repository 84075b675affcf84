"""Draws pictures of simple things: coloured shapes and short numbers on varied backgrounds.

A picture comes with a list of what is in it ("things"), so questions about it can be answered
exactly. Nothing outside Pillow and numpy is needed; the digits are drawn by this file, so that
every machine draws the same pictures.
"""
import io
import math

import numpy as np
from PIL import Image, ImageDraw

SHAPES = ["circle", "square", "triangle", "star", "diamond", "cross", "ring", "heart"]
PLURALS = {shape: shape + ("es" if shape == "cross" else "s") for shape in SHAPES}
KINDS = SHAPES + ["number"]
COLOURS = {
    "red": (214, 36, 40), "orange": (248, 130, 18), "yellow": (246, 214, 36),
    "green": (40, 158, 62), "blue": (36, 92, 214), "purple": (142, 56, 190),
    "white": (247, 247, 247), "black": (22, 22, 24),
}
COLOUR_NAMES = list(COLOURS)
BACKGROUNDS = [
    (236, 238, 240), (250, 250, 248), (226, 214, 190), (196, 218, 238), (204, 232, 206),
    (240, 208, 214), (70, 74, 84), (34, 44, 72), (52, 30, 56), (26, 62, 58), (180, 184, 190),
    (92, 70, 54), (214, 204, 236), (16, 18, 22), (168, 150, 128), (84, 104, 120),
]
SCALE = 3  # shapes are drawn so much larger and then reduced, which smooths their edges
# Noise of four strengths; backgrounds show parts of it.
_NOISE = np.random.default_rng(1).normal(0, 1, (1300, 1300)).astype(np.float32)
_NOISE = np.stack([_NOISE * strength for strength in (3, 6, 9, 13)]).astype(np.int16)


class Thing:
    """A shape or a number: its kind, its colour, its box in pixels, its digits."""

    def __init__(self, kind, colour, box, text=""):
        self.kind, self.colour, self.box, self.text = kind, colour, box, text


def _arc(cx, cy, rx, ry, start, end, count=14):
    angles = [math.radians(start + (end - start) * i / (count - 1)) for i in range(count)]
    return [(cx + rx * math.cos(a), cy + ry * math.sin(a)) for a in angles]


_SIX = [_arc(.5, 1.1, .5, .5, 0, 360, 20), [(0, 1.1), (.04, .78), (.25, .36), (.75, 0)]]
# Strokes of the digits in a box of width 1 and height 1.6; some digits have two forms.
DIGITS = {
    "0": [[_arc(.5, .8, .5, .8, 0, 360, 24)]],
    "1": [[[(.2, .36), (.58, 0), (.58, 1.6)]],
          [[(.2, .36), (.55, 0), (.55, 1.6)], [(.2, 1.6), (.9, 1.6)]]],
    "2": [[_arc(.5, .46, .48, .46, 190, 400) + [(0, 1.6), (1, 1.6)]]],
    "3": [[_arc(.46, .42, .44, .42, 200, 450) + _arc(.46, 1.2, .5, .4, 270, 520)],
          [[(.05, 0), (.9, 0), (.42, .66)] + _arc(.46, 1.12, .5, .48, 270, 520)]],
    "4": [[[(.74, 1.6), (.74, 0), (0, 1.1), (1, 1.1)]], [[(.2, 0), (0, .95), (1, .95)],
                                                         [(.74, .35), (.74, 1.6)]]],
    "5": [[[(.9, 0), (.16, 0), (.1, .73)] + _arc(.48, 1.08, .5, .52, 220, 500)]],
    "6": [_SIX],
    "7": [[[(0, 0), (1, 0), (.36, 1.6)]], [[(0, 0), (1, 0), (.36, 1.6)], [(.25, .8), (.9, .8)]]],
    "8": [[_arc(.5, .4, .42, .4, 0, 360, 18), _arc(.5, 1.19, .5, .41, 0, 360, 18)]],
    "9": [[[(1 - x, 1.6 - y) for x, y in stroke] for stroke in _SIX]],
}


def _outline(kind):
    """Corners of a shape around (0, 0), about 1 from the centre to the edge."""
    if kind in ("circle", "ring"):
        return _arc(0, 0, 1, 1, 0, 350, 36)
    if kind == "square":
        return [(-.9, -.9), (.9, -.9), (.9, .9), (-.9, .9)]
    if kind == "triangle":
        return [(0, -.95), (1, .8), (-1, .8)]
    if kind == "diamond":
        return [(0, -1.1), (.76, 0), (0, 1.1), (-.76, 0)]
    if kind == "star":
        points = []
        for i in range(10):
            radius = 1.1 if i % 2 == 0 else .46
            points.append((radius * math.sin(i * math.pi / 5), -radius * math.cos(i * math.pi / 5)))
        return points
    if kind == "cross":
        a, b = .32, 1.0
        return [(-a, -b), (a, -b), (a, -a), (b, -a), (b, a), (a, a), (a, b), (-a, b), (-a, a),
                (-b, a), (-b, -a), (-a, -a)]
    points = []  # a heart
    for i in range(32):
        t = 2 * math.pi * i / 32
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((math.sin(t) ** 3, -(y + 2.5) / 15.5))
    return points


def _shape_mask(rng, kind, size):
    """The mask of a shape about `size` pixels wide; its width and height."""
    angle = math.radians(rng.uniform(-8, 8) if kind in ("square", "diamond", "heart", "triangle")
                         else rng.uniform(-14, 14))
    stretch = rng.uniform(.88, 1.14)
    sx, sy = size / 2 * math.sqrt(stretch), size / 2 / math.sqrt(stretch)
    c, s = math.cos(angle), math.sin(angle)
    points = [((x * c - y * s) * sx, (x * s + y * c) * sy) for x, y in _outline(kind)]
    left, top = min(p[0] for p in points), min(p[1] for p in points)
    width, height = max(p[0] for p in points) - left, max(p[1] for p in points) - top
    mask = Image.new("L", (math.ceil(width) * SCALE + SCALE, math.ceil(height) * SCALE + SCALE))
    draw = ImageDraw.Draw(mask)
    draw.polygon([((x - left) * SCALE, (y - top) * SCALE) for x, y in points], fill=255)
    if kind == "ring":
        hole = rng.uniform(.48, .62)
        draw.polygon([((x * hole - left) * SCALE, (y * hole - top) * SCALE) for x, y in points],
                     fill=0)
    return mask.reduce(SCALE), width, height


def _number_mask(rng, text, height):
    unit = height / 1.6 * rng.uniform(.82, 1.05)
    pen = height * rng.uniform(.10, .17)
    slant, gap = rng.uniform(-.02, .2), unit * rng.uniform(1.3, 1.5)
    strokes = []
    for i, digit in enumerate(text):
        forms = DIGITS[digit]
        for stroke in forms[rng.randrange(len(forms))]:
            strokes.append([(x * unit + i * gap - y * slant * unit, y * height / 1.6)
                            for x, y in stroke])
    left = min(x for s in strokes for x, _ in s) - pen / 2
    right = max(x for s in strokes for x, _ in s) + pen / 2
    width, high = right - left, height + pen
    mask = Image.new("L", (math.ceil(width) * SCALE + SCALE, math.ceil(high) * SCALE + SCALE))
    draw = ImageDraw.Draw(mask)
    radius = pen * SCALE / 2
    for stroke in strokes:
        points = [((x - left) * SCALE, (y + pen / 2) * SCALE) for x, y in stroke]
        draw.line(points, fill=255, width=max(1, round(pen * SCALE)), joint="curve")
        for x, y in (points[0], points[-1]):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return mask.reduce(SCALE), width, high


def _background(rng, width, height):
    """A flat, graded or noisy background, and the colours in it."""
    first = rng.choice(BACKGROUNDS)
    style = rng.random()
    if style < .4:
        return Image.new("RGB", (width, height), first), [first]
    second = first
    if style < .75:
        near = [b for b in BACKGROUNDS if sum(abs(p - q) for p, q in zip(b, first)) < 260]
        second = rng.choice(near)
    across = rng.random() < .5
    ramp = np.linspace(0, 1, width if across else height, dtype=np.float32)[:, None]
    line = (np.float32(first) * (1 - ramp) + np.float32(second) * ramp).astype(np.int16)
    line = line[None] if across else line[:, None]
    if style > .6:
        noise = _NOISE[rng.randrange(len(_NOISE))]
        y, x = (rng.randrange(_NOISE.shape[1] - side) for side in (height, width))
        line = np.clip(line + noise[y:y + height, x:x + width, None], 0, 255)
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:] = line
    return Image.fromarray(pixels), [first, second]


def _place(rng, taken, width, height, w, h):
    """A free place for a box of w by h, or None."""
    for _ in range(12):
        if w >= width - 4 or h >= height - 4:
            return None
        x, y = rng.uniform(2, width - w - 2), rng.uniform(2, height - h - 2)
        if all(x > b[2] + 3 or x + w < b[0] - 3 or y > b[3] + 3 or y + h < b[1] - 3
               for b in taken):
            return x, y
    return None


def draw_picture(rng, width, height, most=7, number_share=.55, numbers=None):
    """A picture of the size and the things in it, from left to right."""
    image, behind = _background(rng, width, height)
    colours = [name for name, rgb in COLOURS.items()
               if all(sum((p - q) ** 2 for p, q in zip(rgb, b)) > 95 ** 2 for b in behind)]
    # Few kinds and colours in one picture make things worth counting and telling apart.
    shapes = rng.sample(SHAPES, rng.choice([1, 2, 2, 3, 3, 4, 5]))
    palette = rng.sample(colours, min(len(colours), rng.choice([1, 2, 2, 3, 3, 4, 5])))
    count = rng.randint(1, most)
    wanted = [(rng.choice(shapes), "") for _ in range(count)]
    if rng.random() < number_share:
        digits = rng.choice([1, 2, 2, 3, 3, 4])
        text = str(rng.randrange(10 ** (digits - 1) if digits > 1 else 0, 10 ** digits))
        wanted.insert(0, ("number", text))
    short = min(width, height)
    room = math.sqrt(max(width, height) / short / (count + .5))
    smallest = .15 if max(width, height) < 1.5 * short else .18
    largest = min(.46, max(.22, .52 * room))
    things = []
    for kind, text in wanted:
        colour = rng.choice(palette if kind != "number" else colours)
        size = short * rng.uniform(smallest, largest)
        if kind == "number":
            size = short * rng.uniform(.13, .27)
            mask, w, h = _number_mask(rng, text, size)
        else:
            mask, w, h = _shape_mask(rng, kind, size)
        place = _place(rng, [t.box for t in things], width, height, w, h)
        if place is None:
            continue
        x, y = int(place[0]), int(place[1])
        paint = tuple(max(0, min(255, c + rng.randint(-9, 9))) for c in COLOURS[colour])
        image.paste(paint, (x, y), mask)
        things.append(Thing(kind, colour, (x, y, x + w, y + h), text))
    if not things:
        return draw_picture(rng, width, height, most, number_share)
    things.sort(key=lambda t: t.box[0])
    return image, things


def jpeg_artefacts(image, quality):
    """The picture after a JPEG file of this quality."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(io.BytesIO(file.getvalue())).convert("RGB")
