"""Cuts pictures into tiles as the model family's processor does."""
import numpy as np
from PIL import Image, ImageOps

SIDE = 224   # of a tile, pixels
CELLS = 7    # image tokens on a tile's side: 224 / patches of 16 / 2x2 downsampling
RESOLUTIONS = [(SIDE, SIDE), (2 * SIDE, SIDE), (SIDE, 2 * SIDE), (3 * SIDE, SIDE),
               (SIDE, 3 * SIDE)]
FILL = (127, 127, 127)
_BICUBIC = getattr(Image, "Resampling", Image).BICUBIC


def choose_resolution(width, height):
    """The canvas that keeps most of the picture's pixels; among equals the least waste."""
    best, most, least_waste = None, 0, 0
    for w, h in RESOLUTIONS:
        scale = min(w / width, h / height)
        effective = min(int(width * scale) * int(height * scale), width * height)
        waste = w * h - effective
        if effective > most or (effective == most and waste < least_waste):
            best, most, least_waste = (w, h), effective, waste
    return best


def _pad(image, size):
    if image.size == size:
        return np.asarray(image)
    return np.asarray(ImageOps.pad(image, size, method=_BICUBIC, color=FILL))


def _map(image, size, things):
    """Boxes of the things on a canvas that the picture was fitted into."""
    scale = min(size[0] / image.width, size[1] / image.height)
    dx, dy = (size[0] - image.width * scale) / 2, (size[1] - image.height * scale) / 2
    return [(t.box[0] * scale + dx, t.box[1] * scale + dy, t.box[2] * scale + dx,
             t.box[3] * scale + dy) for t in things]


def cut(image, things=()):
    """(columns, rows), the tiles, and each tile's boxes of the things.

    The first tile is the whole picture. A picture of one tile has that tile twice; it is
    stored once here.
    """
    tiles = [_pad(image, (SIDE, SIDE))]
    boxes = [_map(image, (SIDE, SIDE), things)]
    canvas = choose_resolution(*image.size)
    columns, rows = canvas[0] // SIDE, canvas[1] // SIDE
    if columns * rows > 1:
        pixels = _pad(image, canvas)
        mapped = _map(image, canvas, things)
        for y in range(0, canvas[1], SIDE):
            for x in range(0, canvas[0], SIDE):
                tiles.append(pixels[y:y + SIDE, x:x + SIDE])
                boxes.append([(b[0] - x, b[1] - y, b[2] - x, b[3] - y) for b in mapped])
    return (columns, rows), tiles, boxes


def image_tokens(crop):
    """How many tokens a picture of crop = (columns, rows) takes in the prompt."""
    return CELLS * (CELLS + 1) + 1 + CELLS * crop[1] * (CELLS * crop[0] + 1)
