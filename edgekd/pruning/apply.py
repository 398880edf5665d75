"""Taking a structure's channels, blocks and single weights out of a network."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from edgekd import catalog
from edgekd.errors import EdgekdError, UnsupportedModelError
from edgekd.pruning.blocks import block_names, blocks, without
from edgekd.pruning.choose import channels_of
from edgekd.pruning.criteria._base import ChannelCriterion, Criterion, Subject, WeightCriterion
from edgekd.pruning.graph import Channels, Group, channels_left
from edgekd.pruning.single_weights import layers_of_weights, zero_least
from edgekd.pruning.space import Granularity
from edgekd.values import Structure


@dataclass(frozen=True)
class Pruned:
    """A pruned network in eval mode, and what is left of it: the layers that were narrowed, by their names in the
    network, with the output channels of the unpruned one that they kept; the blocks that were removed.
    """

    model: nn.Module
    kept: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    removed: tuple[str, ...] = ()


def apply(subject: Subject, structure: Structure, criterion: Criterion) -> Pruned:
    """A smaller copy of the network with its surviving weights.

    First blocks go, then the least important channels of what is left, then single weights. What went before counts:
    blocks that are gone, and channels that a group no longer has, aren't taken again. The classes stay as they are.

    Args:
        subject: the network; not changed.
        structure: what it should be like.
        criterion: decides which channels stay, or which weights become zero.

    Raises:
        UnsupportedModelError: a block can't go, or the network has no such block or group.
        EdgekdError: the criterion scores something else, or its options or images don't do.
    """
    removed = _to_remove(subject, structure.removed)
    model = without(subject.model, subject.example, removed) if removed else subject.model
    network = copy.deepcopy(model).eval()
    kept: dict[str, tuple[int, ...]] = {}
    if structure.widths:
        if criterion.SCORES != "channels":
            raise _scores_another("channels", criterion)
        kept = _narrow(model, replace(subject, model=network), structure, criterion)
    if structure.zeros:
        if criterion.SCORES != "weights":
            raise _scores_another("weights", criterion)
        layers = layers_of_weights(network)
        scores = criterion.scores(replace(subject, model=network), layers)
        zero_least(layers, scores, _fraction(structure.zeros, criterion))
    return Pruned(network, kept, removed)


def most_important(scores: Tensor, group: Group, width: int) -> tuple[int, ...]:
    """The `width` channels that stay, rising; in each part of the group the same positions."""
    in_part = scores.view(group.parts, -1).mean(dim=0)  # (width / parts,)
    positions = torch.argsort(in_part, descending=True, stable=True)[: width // group.parts].sort().values.tolist()
    length = group.width // group.parts
    return tuple(part * length + position for part in range(group.parts) for position in positions)


def _to_remove(subject: Subject, names: Sequence[str]) -> tuple[str, ...]:
    """The blocks that are still there."""
    modules = dict(subject.model.named_modules())
    left = tuple(name for name in dict.fromkeys(names) if not isinstance(modules.get(name), nn.Identity))
    if not left:
        return ()
    for name in left:
        if name not in modules:
            raise UnsupportedModelError(
                f"the network has no block {name!r}", catalog.nearest(name, block_names(subject.model))
            )
    # the names of some blocks depend on what is beside them: they are those of the network before any went
    for block in blocks(subject.model, subject.example, left):
        if not block.can_go:
            free = " ".join(each.name for each in blocks(subject.model, subject.example) if each.can_go) or "none"
            what = f"block {block.name!r} has different input and output shapes, so it can't be removed"
            raise UnsupportedModelError(what, f"Blocks that can be removed: {free}.")
    return left


def _narrow(
    model: nn.Module, subject: Subject, structure: Structure, criterion: ChannelCriterion
) -> dict[str, tuple[int, ...]]:
    """Narrow the subject's model, a copy of `model`, in place; what each layer kept of its outputs."""
    graph = channels_of(model, subject.model, subject.example)
    groups = _groups_of(graph, structure)
    narrower = [group for group in groups if structure.widths[group.root] < group.width]
    # all are scored before any is cut: cutting one group shortens the weights that score the next
    scores = criterion.scores(subject, narrower) if narrower else ()
    kept = {
        group.root: most_important(own, group, structure.widths[group.root])
        for group, own in zip(narrower, scores, strict=True)
    }
    left = channels_left(subject.model, graph.groups, kept)
    for root, channels in kept.items():
        graph.keep(root, channels)
    return left


def _groups_of(graph: Channels, structure: Structure) -> list[Group]:
    """The groups whose width is stated."""
    groups = {group.root: group for group in graph.groups}
    gone = tuple(f"{block}." for block in structure.removed)
    for root, width in structure.widths.items():
        if root not in groups:
            if root.startswith(gone):
                continue  # its channels went with its block: what read them reads those before it
            raise UnsupportedModelError(
                f"the network has no channels to narrow at layer {root!r}", catalog.nearest(root, groups)
            )
        if width < groups[root].width and width % groups[root].parts:
            what = f"the channels at layer {root!r} form {groups[root].parts} equal parts, so {width} can't be kept"
            raise UnsupportedModelError(what, f"Keep a multiple of {groups[root].parts}.")
    return [groups[root] for root in structure.widths if root in groups]


def _fraction(zeros: float, criterion: WeightCriterion) -> float:
    if criterion.FRACTIONS and zeros not in criterion.FRACTIONS:
        most = " or ".join(f"{fraction:g}" for fraction in criterion.FRACTIONS)
        message = f"the criterion makes {most} of the weights zero, not {zeros:g}"
        raise EdgekdError(message, f"Use a ratio of {most}, or another criterion, such as magnitude.")
    return zeros


def _scores_another(needed: Granularity, criterion: Criterion) -> EdgekdError:
    message = f"the structure states how many {needed} to keep, but the criterion scores {criterion.SCORES}"
    return EdgekdError(message, f"Set prune.criterion to one that scores {needed}.")
