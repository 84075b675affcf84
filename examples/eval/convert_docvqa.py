#!/usr/bin/env python3
"""DocVQA (and InfographicVQA) as tasks for vl2 eval.

    convert_docvqa.py val_v1.0_withQT.json docvqa.jsonl

The JSON file and the pictures' folder that it names come from https://rrc.cvc.uab.es (task 17). The
score is ANLS over all accepted answers.
"""
import argparse
import json
import os

INSTRUCTION = "Answer the question using a single word or phrase."


def tasks(data, pictures):
    for row in data["data"]:
        yield {
            "id": row["questionId"],
            "images": [os.path.join(pictures, row.get("image") or row["image_local_name"])],
            "question": f"<image>\n{row['question']}\n{INSTRUCTION}",
            "answer": row["answers"],
            "kind": "anls",
            "group": (row.get("question_types") or ["all"])[0],
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("annotations", help="the JSON file of a split with answers")
    parser.add_argument("tasks", help="the file to write")
    parser.add_argument("--pictures", help="folder of the pictures; default: that of the JSON file")
    options = parser.parse_args()
    pictures = options.pictures or os.path.dirname(options.annotations)
    pictures = os.path.relpath(pictures or ".", os.path.dirname(options.tasks) or ".")
    with open(options.annotations, encoding="utf-8") as file:
        data = json.load(file)
    with open(options.tasks, "w", encoding="utf-8") as file:
        for task in tasks(data, pictures):
            file.write(json.dumps(task, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
