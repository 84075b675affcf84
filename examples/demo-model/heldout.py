"""Writes held-out questions as files: pictures, and one JSON object per line about each question.

`python3 heldout.py --out DIR --n N` writes DIR/tasks.jsonl, for vl2 eval, and the pictures, PNG and
JPEG, that it names. Earlier turns of a conversation stand in it with their true answers.
"""
import argparse
import io
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


def encode(image, kind, **how):
    data = io.BytesIO()
    image.save(data, kind, **how)
    return data.getvalue()


def picture_file(image, index, small):
    """The bytes of a picture's file, and how its name ends."""
    # Decoded again, a JPEG file is another picture.
    if small:
        png, jpeg = encode(image, "png", optimize=True), encode(image, "jpeg", quality=80)
        return (png, "png") if len(png) < len(jpeg) else (jpeg, "jpg")
    if index % 3 == 2:
        return encode(image, "jpeg", quality=92), "jpg"
    return encode(image, "png"), "png"


def write(folder, count, seed, small=False):
    os.makedirs(os.path.join(folder, "pictures"), exist_ok=True)
    with open(os.path.join(folder, "tasks.jsonl"), "w", encoding="utf-8") as file:
        for index in range(count):
            task, pictures, _, turns = held_out(index, seed)
            names = []
            for number, (image, _) in enumerate(pictures):
                data, ending = picture_file(image, index, small)
                name = "pictures/%05d-%d.%s" % (index, number, ending)
                with open(os.path.join(folder, name), "wb") as picture:
                    picture.write(data)
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
    parser.add_argument("--small", action="store_true",
                        help="small files: PNG, or JPEG of quality 80")
    options = parser.parse_args()
    write(options.out, options.n, options.seed, options.small)


if __name__ == "__main__":
    main()
