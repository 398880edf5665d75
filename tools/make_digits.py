"""Makes edgekd/data/digits.npz from scikit-learn's copy of the UCI digits: `pip install scikit-learn` first.

The same input gives the same file, byte for byte.
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

OUT = Path(__file__).parents[1] / "edgekd" / "data" / "digits.npz"


def main() -> None:
    digits = load_digits()
    images = np.rint(digits.images * 255 / 16).astype(np.uint8)  # (1797, 8, 8), from counts of 0..16
    np.savez_compressed(OUT, images=images, labels=digits.target.astype(np.uint8))
    print(f"{OUT}: {len(images)} images, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
