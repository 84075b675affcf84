"""Writes held-out questions as files: pictures, and one JSON object per line about each question.

`python3 heldout.py --out DIR --n N` writes DIR/tasks.jsonl, for vl2 eval, and the pictures, PNG and
JPEG, that it names. Earlier turns of a conversation stand in it with their true answers.
"""
import argparse
import json
import os

from evaluate import boxes_of, held_out


def expected(task, answer):
    """What the answer is compared with, and the line of the table that it counts in."""
    boxes = boxes_of(answer)
    if boxes:
        return {"kind": "box", "boxes": boxes, "normalized": True,
                "group": task if task != "describe" else "describe, boxes"}
    kind = "number" if task in ("count", "number") else "exact"
    return {"kind": kind, "answer": answer, "group": task}


def write(folder, count, seed):
    os.makedirs(os.path.join(folder, "pictures"), exist_ok=True)
    with open(os.path.join(folder, "tasks.jsonl"), "w", encoding="utf-8") as file:
        for index in range(count):
            task, pictures, _, turns = held_out(index, seed)
            names = []
            for number, (image, _) in enumerate(pictures):
                jpeg = index % 3 == 2  # decoded again, a JPEG file is another picture
                name = "pictures/%05d-%d.%s" % (index, number, "jpg" if jpeg else "png")
                image.save(os.path.join(folder, name), **({"quality": 92} if jpeg else {}))
                names.append(name)
            line = {"id": "%s-%05d" % (task, index), "images": names}
            messages = []
            for _, question, answer in turns:
                messages += [{"role": "user", "content": question},
                             {"role": "assistant", "content": answer}]
            if len(turns) > 1:
                line["conversation"] = messages[:-1]
            else:
                line["question"] = question
            line.update(expected(task, answer))
            file.write(json.dumps(line) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", required=True)
    parser.add_argument("--n", type=int, default=320)
    parser.add_argument("--seed", default="files", help="another word makes other questions")
    options = parser.parse_args()
    write(options.out, options.n, options.seed)


if __name__ == "__main__":
    main()
