"""Batches of training samples: pictures as tiles, conversations as tokens, made by workers."""
import os
import random

import numpy as np
import torch
from torch.utils.data import IterableDataset

import tiles
from draw import COLOUR_NAMES, KINDS, draw_picture, jpeg_artefacts
from questions import TASKS, conversation, coordinates
from tokenizer import Tokenizer

# Layouts of a sample: the (columns, rows) of its pictures, and their share of all samples. A
# batch has one layout, so that its pictures need no padding.
LAYOUTS = [
    (((1, 1),), .46), (((2, 1),), .12), (((1, 2),), .09), (((3, 1),), .06), (((1, 3),), .05),
    (((1, 1), (1, 1)), .12), (((2, 1), (1, 1)), .02), (((1, 1), (1, 2)), .02),
    (((1, 1), (1, 1), (1, 1)), .06),
]
MOST_WORDS = 240  # tokens of a sample besides its pictures; some questions go, to save padding


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
    return pictures, conversation(rng, scenes, 6 if len(layout) == 1 else 7, simple)


def cell_targets(things, boxes, size=None):
    """What each of a tile's image tokens shows: kind, colour, box, digits.

    Training gives the vision tower these hints through a head of their own. It learns to see
    much sooner than from the words of the answers alone, as the family's tower, too, came
    trained. Returns for the 49 tokens
    [49, 2] kind (0 is nothing) and colour, [49, 4] box in the tile (in tokens, clipped),
    [49, 4] box in the picture as in answers (only with its size, for the global view; else -1),
    [49, 4] digits of a number (10 is none).
    """
    cells, side = tiles.CELLS, tiles.SIDE / tiles.CELLS
    labels = np.zeros((cells, cells, 2), np.int64)
    where = np.zeros((cells, cells, 4), np.float32)
    places = np.full((cells, cells, 4), -1, np.int64)
    digits = np.full((cells, cells, 4), 10, np.int64)
    for thing, box in zip(things, boxes):
        x1, y1, x2, y2 = (v / side for v in box)
        if x2 <= 0 or y2 <= 0 or x1 >= cells or y1 >= cells:
            continue
        # Tokens whose centre is in the box, or those under the middle of a small box.
        left, right = int(np.ceil(x1 - .5)), int(np.floor(x2 - .5))
        top, bottom = int(np.ceil(y1 - .5)), int(np.floor(y2 - .5))
        if right < left:
            left = right = int((x1 + x2) / 2)
        if bottom < top:
            top = bottom = int((y1 + y2) / 2)
        part = slice(max(top, 0), max(bottom + 1, 0)), slice(max(left, 0), max(right + 1, 0))
        labels[part] = 1 + KINDS.index(thing.kind), COLOUR_NAMES.index(thing.colour)
        where[part] = [min(max(v, 0), cells) for v in (x1, y1, x2, y2)]
        if size is not None:
            places[part] = coordinates(thing.box, size)
        for i, digit in enumerate(thing.text):
            digits[part + (i,)] = int(digit)
    return [a.reshape(cells * cells, -1) for a in (labels, where, places, digits)]


def make_batch(rng, tokenizer, layout, count, simple=False):
    """A batch of `count` samples of one layout, as tensors."""
    pixels = np.empty((count, tile_count(layout), tiles.SIDE, tiles.SIDE, 3), np.uint8)
    hints, rows = [], []
    lengths = [tiles.image_tokens(crop) for crop in layout]
    for i in range(count):
        pictures, turns = draw_sample(rng, layout, simple)
        at = 0
        for (image, things), crop in zip(pictures, layout):
            found, cuts, boxes = tiles.cut(image, things)
            assert found == crop
            for number, (tile, mapped) in enumerate(zip(cuts, boxes)):
                pixels[i, at] = tile
                hints.append(cell_targets(things, mapped, None if number else image.size))
                at += 1
        ids, turn_of = tokenizer.conversation(turns, lengths)
        while len(ids) > sum(lengths) + MOST_WORDS and len(turns) > 1:
            turns = turns[:-1]  # a batch is as long as its longest sample
            ids, turn_of = tokenizer.conversation(turns, lengths)
        rows.append((ids, turn_of, [TASKS.index(t[0]) for t in turns]))
    longest = -(-max(len(r[0]) for r in rows) // 32) * 32
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
    labels, where, places, digits = (np.stack(h) for h in zip(*hints))
    arrays = {"pixels": pixels, "labels": labels, "where": where, "places": places,
              "digits": digits, "ids": ids, "images": images,
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
