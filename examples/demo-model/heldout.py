"""Writes held-out questions as files: pictures, and one JSON object per line about each question.

`python3 heldout.py --out DIR --n N` writes DIR/tasks.jsonl and the pictures, PNG and JPEG, that
it names. Keys of a line: "id", "task", "images" (files), "conversation" (earlier turns, if any:
{"role", "content"}), "question" (with its <image> tags), "answer", "kind" (how to compare: "box",
"number" or "exact") and, for "box", "boxes" (coordinates from 0 to 999).
"""
import argparse
import json
import os

from evaluate import boxes_of, held_out


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
            earlier = []
            for _, question, answer in turns[:-1]:
                earlier += [{"role": "user", "content": question},
                            {"role": "assistant", "content": answer}]
            _, question, answer = turns[-1]
            boxes = boxes_of(answer)
            kind = "box" if boxes else ("number" if task in ("count", "number") else "exact")
            line = {"id": "%s-%05d" % (task, index), "task": task, "images": names}
            if earlier:
                line["conversation"] = earlier
            line.update(question=question, answer=answer, kind=kind)
            if boxes:
                line["boxes"] = boxes
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
