"""Asks a model about pictures it has never seen and counts the right answers.

`python3 evaluate.py --weights DIR` does it for saved weights; train.py does it at its end.
"""
import argparse
import json
import random
import re
import time

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

import tiles
from samples import LAYOUTS, draw_sample
from tokenizer import Tokenizer

SEED = "held out"
# Tasks, and how often they come among the held-out questions.
ROUND = ["box", "several", "colour", "count", "number", "picture", "box", "several", "colour",
         "count", "number", "picture", "shape", "yesno", "absent", "describe"]
LONGEST = {"box": 48, "several": 132, "describe": 180}


def held_out(index, seed=SEED):
    """Task, [(picture, things)], layout and the turns up to the question with that task."""
    rng = random.Random("%s %d" % (seed, index))
    task = ROUND[index % len(ROUND)]
    layouts = [(l, w) for l, w in LAYOUTS if (len(l) > 1) == (task == "picture")]
    while True:
        layout = rng.choices(*zip(*layouts))[0]
        pictures, turns = draw_sample(rng, layout)
        found = [i for i, turn in enumerate(turns) if turn[0] == task]
        if found:
            return task, pictures, layout, turns[:found[0] + 1]


class HeldOut(Dataset):
    def __init__(self, count):
        self.count, self.tokenizer = count, Tokenizer()

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        task, pictures, layout, turns = held_out(index)
        cuts = [tile for image, _ in pictures for tile in tiles.cut(image)[1]]
        asked = turns[:-1] + [(task, turns[-1][1], None)]
        ids, _ = self.tokenizer.conversation(asked, [tiles.image_tokens(c) for c in layout])
        return {"task": task, "layout": layout, "pixels": np.stack(cuts), "ids": ids,
                "answer": turns[-1][2]}


def unchanged(item):
    """For DataLoader, which would make tensors in shared memory of all arrays."""
    return item


@torch.no_grad()
def greedy(model, tokenizer, items, most, device):
    """The most likely answers to several prompts at once, as lists of tokens."""
    start = [len(item["ids"]) for item in items]
    ids = torch.full((len(items), max(start) + most), tokenizer.pad, dtype=torch.long)
    for row, item in zip(ids, items):
        row[:len(item["ids"])] = torch.tensor(item["ids"])
    images = (ids.flatten() == tokenizer.image).nonzero().flatten().to(device)
    ids, ends = ids.to(device), torch.tensor(start, device=device)
    counts = [len(item["pixels"]) for item in items]
    pixels = torch.from_numpy(np.concatenate([item["pixels"] for item in items]))
    seen = model.see(pixels.to(device)).split(counts)
    pictures = torch.cat([model.arrange(s[None], item["layout"])[0]
                          for s, item in zip(seen, items)])
    x = model.embed(ids, images, pictures)
    done = torch.zeros(len(items), dtype=torch.bool, device=device)
    every = torch.arange(len(items), device=device)
    language = model.language
    for step in range(most):
        # Without a KV cache: simple, and at this size fast enough.
        out = language.model(x[:, :max(start) + step])
        token = language.lm_head(out[every, ends - 1]).float().argmax(-1)
        ids[every, ends] = token
        x[every, ends] = language.model.embed_tokens(token).to(x.dtype)
        ends = ends + 1
        done |= token == tokenizer.eos
        if step % 4 == 3 and bool(done.all()):
            break
    answers = []
    for row, begin, end in zip(ids.tolist(), start, ends.tolist()):
        answer = row[begin:end]
        answers.append(answer[:answer.index(tokenizer.eos)] if tokenizer.eos in answer else answer)
    return answers


def boxes_of(text):
    return [[int(v) for v in b] for b in re.findall(r"(\d+), (\d+), (\d+), (\d+)", text)]


def overlap(a, b):
    """Intersection over union."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(0, width) * max(0, height)
    areas = [max(0, c[2] - c[0]) * max(0, c[3] - c[1]) for c in (a, b)]
    return common / max(1e-9, sum(areas) - common)


def score(task, answer, truth):
    """{measure: 0 or 1} for one answer."""
    wanted = boxes_of(truth)
    if not wanted:
        return {task: float(answer.strip() == truth.strip())}
    found = boxes_of(answer)
    right = {"": .5, " IoU>0.75": .75}
    worst = 0
    if len(found) == len(wanted):  # each true box needs a found one of its own
        left = list(found)
        worst = 1
        for box in wanted:
            best = max(left, key=lambda f: overlap(f, box))
            worst = min(worst, overlap(best, box))
            left.remove(best)
    names = re.sub(r"\d+", "", answer) == re.sub(r"\d+", "", truth)
    if task == "describe" and not names:
        worst = 0
    return {task + (name or " IoU>0.5"): float(worst > least) for name, least in right.items()}


def evaluate(model, tokenizer, device, count, workers=0, seconds=1e9, batch=256, show=0):
    """Accuracy of each measure on `count` held-out questions, as far as the time allows."""
    end = time.time() + seconds
    model.eval()
    # Alike questions are answered together: their answers are about equally long.
    waiting, results, asked = {}, {}, 0

    def flush(task):
        items = waiting.pop(task)
        answers = greedy(model, tokenizer, items, LONGEST.get(task, 14), device)
        for n, (item, answer) in enumerate(zip(items, answers)):
            text = tokenizer.decode(answer)
            if n < show:
                print("%-8s %s | %s" % (task, text, item["answer"]))
            for name, value in score(task, text, item["answer"]).items():
                results.setdefault(name, []).append(value)
        return len(items)

    loader = DataLoader(HeldOut(count), batch_size=None, num_workers=workers,
                        collate_fn=unchanged)
    for item in loader:
        waiting.setdefault(item["task"], []).append(item)
        if len(waiting[item["task"]]) == batch and time.time() < end:
            asked += flush(item["task"])
        if time.time() > end - 2:
            break
    for task in sorted(waiting, key=lambda t: LONGEST.get(t, 14)):
        if time.time() < end:
            asked += flush(task)
    model.train()
    table = {name: {"right": sum(v) / len(v), "questions": len(v)}
             for name, v in sorted(results.items())}
    return {"questions": asked, "accuracy": table}


def print_table(result):
    for name, row in result["accuracy"].items():
        print("%-20s %6.1f %%  of %d" % (name, 100 * row["right"], row["questions"]))


def main():
    from train import load_model
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True, help="folder for train.py --resume")
    parser.add_argument("--count", type=int, default=320)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--show", type=int, default=0, help="answers of each batch to print")
    parser.add_argument("--out", help="JSON file for the result")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    tokenizer = Tokenizer()
    model = load_model(options.weights, tokenizer).to(device)
    result = evaluate(model, tokenizer, device, options.count, options.workers,
                      batch=256 if device.type == "cuda" else 8, show=options.show)
    print_table(result)
    if options.out:
        with open(options.out, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
