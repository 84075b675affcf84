#!/usr/bin/env python3
"""RefCOCO, RefCOCO+ and RefCOCOg as tasks for vl2 eval.

    convert_refcoco.py 'refs(unc).p' instances.json train2014 refcoco.jsonl --split testA

The first two files come from https://github.com/lichengunc/refer, the third is COCO's folder of
pictures. One task for each sentence, with the model's own prompt for a referring expression; the
score at an IoU of 0.5 is what papers call accuracy.
"""
import argparse
import json
import os
import pickle


class PlainUnpickler(pickle.Unpickler):
    """Lists, dictionaries, texts and numbers only: a pickle may call anything otherwise."""

    def find_class(self, module, name):
        raise pickle.UnpicklingError(f"found {module}.{name}, expected plain data")


def tasks(refs, instances, pictures, split):
    boxes = {row["id"]: row["bbox"] for row in instances["annotations"]}
    names = {row["id"]: row["file_name"] for row in instances["images"]}
    for ref in refs:
        if ref["split"] != split:
            continue
        left, top, width, height = boxes[ref["ann_id"]]
        for sentence in ref["sentences"]:
            yield {
                "id": f"{ref['ref_id']}-{sentence['sent_id']}",
                "images": [os.path.join(pictures, names[ref["image_id"]])],
                "question": f"<image>\n<|ref|>{sentence['sent']}<|/ref|>.",
                "boxes": [[left, top, left + width, top + height]],
                "kind": "box",
                "group": split,
            }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("refs", help="refs(unc).p, refs(google).p or refs(umd).p")
    parser.add_argument("instances", help="instances.json beside it")
    parser.add_argument("pictures", help="folder of COCO's train2014 pictures")
    parser.add_argument("tasks", help="the file to write")
    parser.add_argument("--split", default="val", help="val, testA, testB or test; default: val")
    options = parser.parse_args()
    pictures = os.path.relpath(options.pictures, os.path.dirname(options.tasks) or ".")
    with open(options.refs, "rb") as file:
        refs = PlainUnpickler(file).load()
    with open(options.instances, encoding="utf-8") as file:
        instances = json.load(file)
    with open(options.tasks, "w", encoding="utf-8") as file:
        for task in tasks(refs, instances, pictures, options.split):
            file.write(json.dumps(task, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
