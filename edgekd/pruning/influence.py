"""How much each block of a network changes what it gets."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.pruning.watching import watching

_BATCH = 32
"""Images a forward pass: enough to be fast, few enough for the maps of large networks."""


def influences(network: nn.Module, names: Sequence[str], images: Tensor) -> dict[str, float]:
    """1 - the mean cosine of each block's input and output: 0 for a block that changes nothing, at most 2.

    That is the block influence of Men et al., "ShortGPT", arXiv 2403.03853. Theirs compares the vector of each token;
    edgekd's choice is one vector an image, its whole map, with zeros for channels that only the output has. It says
    most where a shortcut carries the input on, as in ResNet: elsewhere a block's channels aren't its input's.

    Args:
        network: in eval mode.
        names: blocks that can go.
        images: (N, C, H, W), N at least 1.
    """
    cosines: dict[str, list[Tensor]] = {name: [] for name in names}

    def compare(name: str, before: Tensor, after: Tensor) -> None:
        filled = F.pad(before, (0, 0, 0, 0, 0, after.shape[1] - before.shape[1]))
        cosines[name].append(F.cosine_similarity(filled.flatten(1), after.flatten(1)))  # (N,)

    with watching(network, names, compare):
        for batch in torch.split(images, _BATCH):
            network(batch)
    return {name: 1 - float(torch.cat(each).mean()) for name, each in cosines.items()}
