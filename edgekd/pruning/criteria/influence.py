"""Blocks by how much they change what they get: those that change least go first (Men et al., "ShortGPT", arXiv
2403.03853).
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.errors import EdgekdError
from edgekd.pruning.criteria._base import NoOptions, Subject
from edgekd.pruning.space import Block
from edgekd.pruning.watching import watching

SCORES: Literal["blocks"] = "blocks"
NEEDS_IMAGES = True
NEEDS_LATENCY = False
Options = NoOptions

_BATCH = 32
"""Images a forward pass: enough to be fast, few enough for the maps of large networks."""


def scores(subject: Subject, blocks: Sequence[Block]) -> Mapping[str, float]:
    """`influences` on the subject's images.

    Raises:
        EdgekdError: there are no images.
    """
    if not len(subject.images):
        hint = 'Provide training data, or set the criterion to "position".'
        raise EdgekdError('prune.criterion: "influence" needs training images, and there are none', hint)
    return influences(subject.model, [block.name for block in blocks if block.can_go], subject.images)


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
