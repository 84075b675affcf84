"""Draws the sample pictures of the folder samples/: `python3 samplepictures.py --out DIR`."""
import argparse
import os
import random

from draw import draw_picture

# Name, size, seed, how many shapes at most
PICTURES = [
    ("shapes.png", (448, 448), 568, 6), ("wide.png", (672, 224), 439, 7),
    ("tall.png", (224, 448), 1105, 6), ("number.jpg", (224, 224), 29, 4),
    ("many.jpg", (640, 320), 123, 7), ("one.png", (224, 224), 1329, 3),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="samples")
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    for name, size, seed, most in PICTURES:
        image, _ = draw_picture(random.Random(seed), size[0], size[1], most, 1.0)
        image.save(os.path.join(options.out, name),
                   **({"quality": 92} if name.endswith("jpg") else {"optimize": True}))


if __name__ == "__main__":
    main()
