"""Mixup: each image of a batch is mixed with another one, and so are the losses of their labels.

H. Zhang, M. Cisse, Y. N. Dauphin, D. Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", arXiv:1710.09412. As
in the paper, one share is drawn per batch. The teacher receives the mixed images.
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
    """The share of each image itself, from 0 to 1; the other image has the rest."""
    others: Tensor
    """(B,) int64: the index of each image's partner in the batch."""

    def images(self, images: Tensor) -> Tensor:
        """Each image (B, C, H, W) mixed with its partner."""
        return self.share * images + (1 - self.share) * images[self.others]


def mix(view: View, batch: int, size: int) -> Mix | None:
    """How batch number `batch`, of `size` images, of a view is mixed; None if the view has no mixup.

    It depends only on the batch and on the view's seed, epoch and part.
    """
    alpha = view.augmentation.mixup
    if not alpha:
        return None
    drawn_by = f"mixup {view.seed} {view.epoch} {view.part} {view.parts} {batch}"
    random = np.random.default_rng(int.from_bytes(hashlib.sha256(drawn_by.encode()).digest()[:8], "little"))
    return Mix(float(random.beta(alpha, alpha)), torch.from_numpy(random.permutation(size)))
