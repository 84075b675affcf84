"""Batches of training samples: pictures as tiles, conversations as tokens, made by workers."""
import os
import random

import numpy as np
import torch
from torch.utils.data import IterableDataset

import tiles
from draw import COLOUR_NAMES, KINDS, draw_picture, jpeg_artefacts
from questions import TASKS, conversation
from tokenizer import Tokenizer

# Layouts of a sample: the (columns, rows) of its pictures, and their share of all samples. A
# batch has one layout, so that its pictures need no padding.
LAYOUTS = [
    (((1, 1),), .46), (((2, 1),), .12), (((1, 2),), .09), (((3, 1),), .06), (((1, 3),), .05),
    (((1, 1), (1, 1)), .12), (((2, 1), (1, 1)), .02), (((1, 1), (1, 2)), .02),
    (((1, 1), (1, 1), (1, 1)), .06),
]


def tile_count(layout):
    """Different tiles of a sample; a picture of one tile is its own global view."""
    return sum(1 if c * r == 1 else 1 + c * r for c, r in layout)


def choose_size(rng, crop):
    """A picture size that the processor cuts into `crop` tiles, most of them without scaling."""
    w, h = crop[0] * tiles.SIDE, crop[1] * tiles.SIDE
    if rng.random() < .6:
        return w, h
    if rng.random() < .4:
        scale = rng.uniform(.6, 1.6)
        size = round(w * scale), round(h * scale)
        if tiles.choose_resolution(*size) == (w, h):
            return size
    while True:
        scale = rng.uniform(.6, 1.4)
        size = (round(w * scale * rng.uniform(.6, 1)), round(h * scale * rng.uniform(.6, 1)))
        if min(size) >= 96 and tiles.choose_resolution(*size) == (w, h):
            return size


def draw_sample(rng, layout, simple=False):
    """[(picture, things)] of the layout and a conversation about them."""
    pictures = []
    for crop in layout:
        size = (tiles.SIDE, tiles.SIDE) if simple else choose_size(rng, crop)
        most = 3 if simple else (5 if len(layout) > 1 else 7)
        image, things = draw_picture(rng, size[0], size[1], most)
        if rng.random() < .12:
            image = jpeg_artefacts(image, rng.randint(45, 95))
        pictures.append((image, things))
    scenes = [(image.size, things) for image, things in pictures]
    return pictures, conversation(rng, scenes, 6 if len(layout) == 1 else 5, simple)


def cell_targets(things, boxes):
    """What each of a tile's image tokens shows: kind, colour, box relative to the token.

    Training gives the vision tower these hints through a head of their own. It learns to see
    much sooner than from the words of the answers alone, as the family's tower, too, came
    trained. Returns [49, 2] kinds (0 is nothing) and colours, [49, 4] boxes in tokens, and
    [49, 4] digits (10 is none).
    """
    cells, size = tiles.CELLS, tiles.SIDE / tiles.CELLS
    labels = np.zeros((cells, cells, 2), np.int64)
    where = np.zeros((cells, cells, 4), np.float32)
    digits = np.full((cells, cells, 4), 10, np.int64)
    for thing, box in zip(things, boxes):
        x1, y1, x2, y2 = (v / size for v in box)
        if x2 <= 0 or y2 <= 0 or x1 >= cells or y1 >= cells:
            continue
        # Tokens whose centre is in the box, or the one under the middle of a small box.
        left, right = int(np.ceil(x1 - .5)), int(np.floor(x2 - .5))
        top, bottom = int(np.ceil(y1 - .5)), int(np.floor(y2 - .5))
        if right < left:
            left = right = int((x1 + x2) / 2)
        if bottom < top:
            top = bottom = int((y1 + y2) / 2)
        left, top = max(left, 0), max(top, 0)
        part = slice(top, max(top, bottom + 1)), slice(left, max(left, right + 1))
        labels[part] = 1 + KINDS.index(thing.kind), COLOUR_NAMES.index(thing.colour)
        ys, xs = np.mgrid[part[0].start:min(cells, part[0].stop),
                          part[1].start:min(cells, part[1].stop)]
        where[part] = np.stack([x1 - xs, y1 - ys, x2 - xs, y2 - ys], -1)
        for i, digit in enumerate(thing.text):
            digits[part + (i,)] = int(digit)
    n = cells * cells
    return labels.reshape(n, 2), where.reshape(n, 4), digits.reshape(n, 4)


def make_batch(rng, tokenizer, layout, count, simple=False):
    """A batch of `count` samples of one layout, as tensors."""
    pixels = np.empty((count, tile_count(layout), tiles.SIDE, tiles.SIDE, 3), np.uint8)
    labels, where, digits, rows = [], [], [], []
    lengths = [tiles.image_tokens(crop) for crop in layout]
    for i in range(count):
        pictures, turns = draw_sample(rng, layout, simple)
        at = 0
        for (image, things), crop in zip(pictures, layout):
            found, cuts, boxes = tiles.cut(image, things)
            assert found == crop
            for tile, mapped in zip(cuts, boxes):
                pixels[i, at] = tile
                hints = cell_targets(things, mapped)
                labels.append(hints[0])
                where.append(hints[1])
                digits.append(hints[2])
                at += 1
        ids, turn_of = tokenizer.conversation(turns, lengths)
        rows.append((ids, turn_of, [TASKS.index(t[0]) for t in turns]))
    longest = -(-max(len(r[0]) for r in rows) // 16) * 16
    ids = np.full((count, longest), tokenizer.pad, np.int64)
    learned, targets, tasks = [], [], []
    for i, (row, turn_of, kinds) in enumerate(rows):
        ids[i, :len(row)] = row
        for j in range(1, len(row)):
            if turn_of[j] >= 0:  # the token before it predicts it
                learned.append(i * longest + j - 1)
                targets.append(row[j])
                tasks.append(kinds[turn_of[j]])
    images = np.flatnonzero(ids == tokenizer.image)
    arrays = {"pixels": pixels, "labels": np.stack(labels), "where": np.stack(where),
              "digits": np.stack(digits), "ids": ids, "images": images,
              "learned": np.array(learned), "targets": np.array(targets),
              "tasks": np.array(tasks)}
    batch = {name: torch.from_numpy(array) for name, array in arrays.items()}
    batch["layout"] = layout
    return batch


class Samples(IterableDataset):
    """Endless batches. `progress` (shared, 0 to 1) says when the easy beginning is over."""

    def __init__(self, batch, seed, progress, easy=.08, pipe=False):
        super().__init__()
        self.batch, self.seed, self.progress, self.easy = batch, seed, progress, easy
        self.pipe = pipe  # give numpy arrays, which need no shared memory

    def __iter__(self):
        info = torch.utils.data.get_worker_info()
        torch.set_num_threads(1)
        if info is not None:
            try:
                os.nice(5)  # the process that feeds the GPU goes first
            except OSError:
                pass
        rng = random.Random("%d %d" % (self.seed, info.id if info else 0))
        tokenizer = Tokenizer()
        layouts, weights = zip(*LAYOUTS)
        while True:
            simple = self.progress.value < self.easy
            layout = layouts[0] if simple else rng.choices(layouts, weights)[0]
            # Batches of many tiles have fewer samples, so that all take about as long.
            cost = (1 + tile_count(layout)) / 2
            count = max(2, round(self.batch / cost)) if self.batch > 8 else self.batch
            batch = make_batch(rng, tokenizer, layout, count, simple)
            if self.pipe:
                batch = {k: v if k == "layout" else v.numpy() for k, v in batch.items()}
            yield batch
