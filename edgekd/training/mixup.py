"""Mixup: two images of a batch are mixed, and so are the losses of their labels.

H. Zhang, M. Cisse, Y. N. Dauphin, D. Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", arXiv:1710.09412. As
there, one share is drawn for a batch. The teacher sees the mixed images.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edgekd.data.dataset import View


@dataclass(frozen=True, eq=False)
class Mix:
    """How the images of one batch are mixed."""

    share: float
    """Of each image itself, from 0 to 1; the rest is of the other one."""
    others: Tensor
    """(B,) int64: the place of each image's other one in the batch."""

    def images(self, images: Tensor) -> Tensor:
        """Each image (B, C, H, W) mixed with its other one."""
        return self.share * images + (1 - self.share) * images[self.others]


def mix(view: View, batch: int, size: int) -> Mix | None:
    """How batch number `batch` of a view, of so many images, is mixed; None if the view mixes nothing.

    A function of the view's seed, epoch and part and of the batch alone.
    """
    alpha = view.augmentation.mixup
    if not alpha:
        return None
    drawn_by = f"mixup {view.seed} {view.epoch} {view.part} {view.parts} {batch}"
    random = np.random.default_rng(int.from_bytes(hashlib.sha256(drawn_by.encode()).digest()[:8], "little"))
    return Mix(float(random.beta(alpha, alpha)), torch.from_numpy(random.permutation(size)))
