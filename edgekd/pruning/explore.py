"""What can be removed from a network: its channel groups, its blocks, its single weights; and how important it is."""

import copy
from collections.abc import Collection
from dataclasses import replace

from torch import Tensor, nn

from edgekd.pruning.blocks import blocks
from edgekd.pruning.choose import channels_of
from edgekd.pruning.criteria._base import Criterion, Subject
from edgekd.pruning.layers import layers_of
from edgekd.pruning.single_weights import layers_of_weights, weight_of
from edgekd.pruning.space import ChannelGroup, Granularity, Scores, Space, allowed_widths


def space_of(model: nn.Module, example: Tensor, *, channel_block: int, kinds: Collection[Granularity]) -> Space:
    """The space of a network.

    Args:
        model: in eval mode; not changed.
        example: one input (1, C, H, W).
        channel_block: channels that the runtime's kernels process together.
        kinds: what is looked for; finding channels may take seconds.

    Raises:
        UnsupportedModelError: nothing of a kind can be found, with the reason.
    """
    space = Space(channel_block=channel_block)
    if "channels" in kinds:
        copied = copy.deepcopy(model).eval()
        groups = channels_of(model, copied, example).groups
        found = tuple(
            ChannelGroup(
                root=group.root,
                width=group.width,
                parts=group.parts,
                allowed=allowed_widths(group.width, block=channel_block, parts=group.parts),
            )
            for group in groups
        )
        space = space.model_copy(update={"groups": found, "layers": layers_of(copied, example, groups)})
    if "blocks" in kinds:
        space = space.model_copy(update={"blocks": blocks(model, example)})
    if "weights" in kinds:
        weights = [weight_of(layer) for layer in layers_of_weights(model)]
        zeros = sum(int((weight == 0).sum()) for weight in weights)
        space = space.model_copy(update={"weights": sum(weight.numel() for weight in weights), "zeros": zeros})
    return space


def scores_of(subject: Subject, criterion: Criterion) -> Scores:
    """What a criterion says of the network's channels or blocks; nothing where it ranks single weights.

    Raises:
        UnsupportedModelError: as `space_of`.
        EdgekdError: the criterion's options, or the images, don't do.
    """
    if criterion.SCORES == "channels":
        copied = copy.deepcopy(subject.model).eval()
        groups = channels_of(subject.model, copied, subject.example).groups
        scored = criterion.scores(replace(subject, model=copied), groups)
        by_root = zip(groups, scored, strict=True)
        return Scores(channels={group.root: tuple(own.tolist()) for group, own in by_root})
    if criterion.SCORES == "blocks":
        found = blocks(subject.model, subject.example)
        return Scores(blocks=dict(criterion.scores(subject, found)))
    return Scores()
