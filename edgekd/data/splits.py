"""Splits that keep the share of every class."""

from collections.abc import Sequence

import torch
from torch import Tensor


def stratified(labels: Tensor, fractions: Sequence[float], seed: int) -> list[Tensor]:
    """Cut a set into a first part and one of each of `fractions`, every class alike.

    Args:
        labels: (N,) int64.
        fractions: of each class, rounded to whole images but at least one; the first part gets what is left.
        seed: decides which image goes where.

    Returns:
        The indices of each part in rising order. Every part has an image of every class that has at least one more
        image than there are fractions.
    """
    generator = torch.Generator().manual_seed(seed)
    parts: list[list[Tensor]] = [[] for _ in range(len(fractions) + 1)]
    for label in torch.unique(labels):
        members = (labels == label).nonzero()[:, 0]
        members = members[torch.randperm(len(members), generator=generator)]
        sizes = [max(1, round(fraction * len(members))) for fraction in fractions]
        pieces = torch.split(members, [len(members) - sum(sizes), *sizes])
        for part, piece in zip(parts, pieces, strict=True):
            part.append(piece)
    return [torch.cat(part).sort().values for part in parts]
