"""Which of the original's channels each layer of a student has."""

import copy

from torch import Tensor, nn

from edgekd.pruning.choose import channels_of
from edgekd.zoo.definition import Definition


def channels_kept(original: nn.Module, example: Tensor, structure: Definition) -> dict[str, tuple[int, ...]]:
    """The output channels of the original's layers that the student has, rising, by the layer's name.

    Layers whose channels come from several groups (behind a concatenation), and those of removed blocks, are left out.

    Args:
        original: the unpruned network, in eval mode.
        example: one input (1, C, H, W).
        structure: of the student.
    """
    copied = copy.deepcopy(original)
    names = {layer: name for name, layer in copied.named_modules()}
    found: dict[str, tuple[int, ...]] = {}
    shared: set[str] = set()
    for group in channels_of(original, copied, example).groups:
        outputs = [(names[member.layer], member) for member in group.members if member.side == "out"]
        # the group's root may be gone with its block, another layer that shares its channels be left
        lost = {
            source
            for name, member in outputs
            if name in structure.kept
            for channel, source in zip(member.channels, member.sources, strict=True)
            if channel not in structure.kept[name]
        }
        for name, member in outputs:
            if name in found:
                shared.add(name)
            pairs = zip(member.channels, member.sources, strict=True)
            found[name] = tuple(sorted(channel for channel, source in pairs if source not in lost))
    gone = tuple(f"{block}." for block in structure.removed)
    return {name: channels for name, channels in found.items() if name not in shared and not name.startswith(gone)}
