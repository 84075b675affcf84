#!/usr/bin/env python3
"""MMBench as tasks for vl2 eval.

    convert_mmbench.py mmbench_dev_en.tsv mmbench.jsonl

The table comes from https://github.com/open-compass/MMBench; its pictures are written into a folder
named after the tasks. Each row is asked once, so the score is what MMBench calls VanillaEval. For
CircularEval, which rotates the choices, --circular writes a task for each rotation: a question counts
there only if all of its tasks are right, which are those whose id differs behind the last "-".
"""
import argparse
import base64
import csv
import json
import os
import sys

LETTERS = "ABCD"
INSTRUCTION = "Please select the correct answer from the options above."


def choices_of(row):
    return [row[letter] for letter in LETTERS if row.get(letter)]


def make_task(row, picture, turn):
    texts = choices_of(row)
    right = (LETTERS.index(row["answer"]) + turn) % len(texts)
    texts = texts[-turn:] + texts[:-turn] if turn else texts
    lines = [f"Hint: {row['hint']}"] if row.get("hint") else []
    lines += [f"Question: {row['question']}", "Options:"]
    lines += [f"{letter}. {text}" for letter, text in zip(LETTERS, texts)] + [INSTRUCTION]
    return {
        "id": f"{row['index']}-{turn}" if turn else row["index"],
        "images": [picture],
        "question": "<image>\n" + "\n".join(lines),
        "answer": LETTERS[right],
        "choices": dict(zip(LETTERS, texts)),
        "kind": "choice",
        "group": row.get("l2-category") or row.get("category") or "all",
    }


def write_picture(row, folder, name):
    """A row may have the index of another one in the place of its picture."""
    if len(row["image"]) < 32:
        return os.path.join(name, f"{row['image']}.jpg")
    with open(os.path.join(folder, f"{row['index']}.jpg"), "wb") as file:
        file.write(base64.b64decode(row["image"]))
    return os.path.join(name, f"{row['index']}.jpg")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", help="the .tsv file of a split with answers")
    parser.add_argument("tasks", help="the file to write")
    parser.add_argument("--circular", action="store_true", help="all rotations of the choices")
    options = parser.parse_args()
    folder = os.path.splitext(options.tasks)[0]
    os.makedirs(folder, exist_ok=True)
    csv.field_size_limit(sys.maxsize)
    with open(options.table, encoding="utf-8", newline="") as table, \
            open(options.tasks, "w", encoding="utf-8") as file:
        for row in csv.DictReader(table, delimiter="\t"):
            picture = write_picture(row, folder, os.path.basename(folder))
            for turn in range(len(choices_of(row)) if options.circular else 1):
                task = make_task(row, picture, turn)
                file.write(json.dumps(task, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
