"""Writes the table of README.md from the result files of vl2 eval: `python3 table.py f32.jsonl ...`.

The first file is the one that the others are compared with.
"""
import argparse
import json
import os


def load(path):
    """{id: result} of the last line about each task."""
    with open(path, encoding="utf-8") as file:
        return {line["id"]: line for line in map(json.loads, file)}


def last(results):
    return {name: result["turns"][-1] for name, result in results.items()}


def right(turns, group):
    chosen = [t for t in turns.values() if group in (None, t["group"])]
    return sum(t["score"] for t in chosen), len(chosen)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("results", nargs="+")
    files = parser.parse_args().results
    runs = [last(load(path)) for path in files]
    first = runs[0]
    if any(run.keys() != first.keys() for run in runs):
        raise SystemExit("the files do not answer the same tasks")
    groups = list(dict.fromkeys(t["group"] for t in first.values()))

    def row(head, cells):
        print("| %s |" % " | ".join([head] + [str(c) for c in cells]))

    row("right answers", [os.path.basename(path).split(".")[0] for path in files])
    print("|---|" + "---|" * len(files))
    for group in groups + [None]:
        counts = [right(run, group) for run in runs]
        row("%s, of %d" % (group or "all", counts[0][1]), ["%d" % n for n, _ in counts])
    row("boxes, IoU >= 0.75", [sum(t.get("right_75", False) for t in run.values())
                               for run in runs])
    row("points won or lost", ["%+.2f" % (100 * (right(run, None)[0] - right(first, None)[0]) /
                                          len(run)) for run in runs])
    pairs = [[(first[i], run[i]) for i in run] for run in runs]
    row("right in the first, wrong here", [sum(b["score"] < a["score"] for a, b in p)
                                           for p in pairs])
    row("wrong in the first, right here", [sum(b["score"] > a["score"] for a, b in p)
                                           for p in pairs])
    row("answers with another text", [sum(a["answer"] != b["answer"] for a, b in p)
                                      for p in pairs])


if __name__ == "__main__":
    main()
