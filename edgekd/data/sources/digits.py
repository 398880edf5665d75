"""The handwritten digits of UCI, embedded: 1,797 grey images, 70 / 10 / 20 % for training, validation and test.

E. Alpaydin, C. Kaynak: "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998,
DOI 10.24432/C50P49, CC BY 4.0; see digits.md beside the file. Images are stored as their 8x8 pixels and seen by
networks at 16x16 (bilinear), so that a network which halves the size four times still has something to look at.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from edgekd.data.adapted import adapted
from edgekd.data.dataset import Augmentation, Dataset
from edgekd.data.memory_images import dataset_in_memory, part
from edgekd.data.splits import stratified
from edgekd.data.views import Pixels
from edgekd.values import Data

WHERE = ""
_FILE = Path(__file__).parents[1] / "digits.npz"
_SIDE = 16


def load(*, root: Path | None, download: bool, seed: int, where: str, stated: Data) -> Dataset:
    """The digits; nothing is read from elsewhere or downloaded."""
    with np.load(_FILE, allow_pickle=False) as file:
        images, labels = _enlarged(file["images"]), torch.from_numpy(file["labels"]).long()
    train, val, test = (part((images, labels), indices) for indices in stratified(labels, (0.1, 0.2), seed))
    classes = tuple("0123456789")
    # a mirrored digit is another sign, so no flip
    splits = {"train": train, "val": val, "test": test}
    return adapted(dataset_in_memory("digits", classes, splits, Augmentation(pad=2, flip=False)), stated)


def _enlarged(pixels: Pixels) -> Pixels:
    """(N, 8, 8) as (N, 1, 16, 16)."""
    values = torch.from_numpy(pixels)[:, None].float()
    large = F.interpolate(values, size=(_SIDE, _SIDE), mode="bilinear", align_corners=False)
    return large.round().to(torch.uint8).numpy()
