"""Repair: what a pruned network regains from images alone, before it is trained.

Batch norms are recalibrated (`zoo.recalibration`), and `refitted` lets each layer give, from the channels that stay,
what the original's layer gave: least squares over positions of some images, layer after layer, each on what the layers
before it give by then (He et al., "Channel Pruning for Accelerating Very Deep Neural Networks", ICCV 2017, arXiv
1707.06168, section 3.1). Both are one run of the network.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from edgekd.pruning.least_squares import MOST, Layer, fit, given_at, read_at, sampled
from edgekd.pruning.watched import Watched, watched
from edgekd.values.defaults import images_at_once
from edgekd.zoo.forward import run
from edgekd.zoo.recalibration import measuring, norms

_TARGETS = 64_000_000
"""Bytes of the original's outputs that are kept at a time."""
_MOST = 1_000_000_000
"""And for many students."""


def refitted(
    student: nn.Module,
    original: nn.Module,
    kept: Mapping[str, Sequence[int]],
    images: Tensor,
    *,
    most: int | None = None,
    targets: "Targets | None" = None,
    running: AbstractContextManager[object] | None = None,
) -> tuple[str, ...]:
    """Fit the student's convolutions and linear layers to the original's outputs, in place, in the order in which they
    run; batch norms are recalibrated on the way. Left alone are layers that give what they should, those
    that run several times or share their weights, and those that the original doesn't run so.

    Args:
        student: in evaluation mode; its layers are called as the original's.
        original: in evaluation mode; not changed.
        kept: by layer, the original's outputs that the student has; all of a layer that isn't named.
        images: (N, C, H, W).
        most: only so many layers are fitted, the first that don't give what they should; None: all.
        targets: what the original's layers give, where that is known.
        running: the student runs within it.

    Returns:
        The layers and norms that keep what they had, since nothing finite was found.
    """
    known = targets.layers if targets else watched(original, images[:1])
    layers = {
        name: seen
        for name, seen in watched(student.eval(), images[:1]).items()
        if name in known
        and known[name].size == seen.size
        and len(kept.get(name, known[name].layer.weight)) == len(seen.layer.weight)
    }
    unknown = _Targets(original, layers, kept, images)
    odd: list[str] = []
    changed = set[str]()

    def refit(name: str, layer: Layer, read: Tensor) -> None:
        if most is not None and len(changed) >= most:
            return
        before = layer.weight.detach().clone()
        positions, wanted = targets.of(name, kept.get(name)) if targets else unknown.of(name)
        seen = read_at(layer, read, layers[name].size, positions)
        if not fit(layer, seen, wanted, shifted=layers[name].norm is not None):
            odd.append(name)
        if not torch.equal(before, layer.weight):
            changed.add(name)

    with ExitStack() as stack:
        odd_norms = stack.enter_context(measuring(norms(student)))
        for name, seen in layers.items():

            def hook(layer: Any, args: tuple[Tensor, ...], name: str = name) -> None:
                refit(name, layer, args[0])

            stack.callback(seen.layer.register_forward_pre_hook(hook).remove)
        with torch.no_grad(), running or nullcontext():
            run(student, images)
    return (*odd, *odd_norms)


@dataclass(frozen=True)
class Targets:
    """What all of the original's layers give at sampled positions, for many students."""

    layers: Mapping[str, Watched]
    outputs: Mapping[str, tuple[Tensor, Tensor]]
    """Positions and outputs (positions, outputs), by the layer's name."""

    def of(self, name: str, kept: Sequence[int] | None) -> tuple[Tensor, Tensor]:
        """The positions, and those outputs of a layer there that were kept; None: all."""
        positions, found = self.outputs[name]
        return positions, found if kept is None else found[:, list(kept)]


def targets_of(original: nn.Module, images: Tensor, positions: int) -> Targets | None:
    """What the original, in evaluation mode, gives for these images at so many positions at most; None if that is too
    much to keep.
    """
    layers = watched(original, images[:1])
    found = _Targets(original, layers, {}, images, positions)
    if found.bytes_of(layers) > _MOST:
        return None
    return Targets(layers, {name: found.of(name) for name in layers})


@dataclass
class _Targets:
    """What the original's layers give at sampled positions: of a layer that is asked for, and as many that run after it
    as can be kept.
    """

    original: nn.Module
    layers: Mapping[str, Watched]
    """Of the student, in the order in which they run."""
    kept: Mapping[str, Sequence[int]]
    images: Tensor
    positions: int = MOST
    """Of a layer, at most."""
    _positions: dict[str, Tensor] = field(default_factory=dict)
    _known: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        draw = torch.Generator().manual_seed(0)
        for name, seen in self.layers.items():
            self._positions[name] = sampled(seen.layer, seen.positions * len(self.images), draw, self.positions)

    def of(self, name: str) -> tuple[Tensor, Tensor]:
        """The positions, and the outputs there (positions, outputs that the student has)."""
        if name not in self._known:
            self._record(name)
        return self._known.pop(name)

    def bytes_of(self, names: Iterable[str]) -> int:
        """What the outputs of these layers take."""
        return sum(4 * len(self._positions[name]) * len(self.layers[name].layer.weight) for name in names)

    def _record(self, first: str) -> None:
        names = list(self.layers)
        wanted: dict[str, Tensor] = {}
        for name in names[names.index(first) :]:
            if wanted and self.bytes_of([*wanted, name]) > _TARGETS:
                break
            wanted[name] = self._positions[name]
        parts = self._run(wanted)
        self._known = {name: (positions, torch.cat(parts[name])) for name, positions in wanted.items()}

    def _run(self, wanted: Mapping[str, Tensor]) -> dict[str, list[Tensor]]:
        parts: dict[str, list[Tensor]] = {name: [] for name in wanted}
        start = 0

        def look(name: str, layer: Any, given: Tensor) -> None:
            count = self.layers[name].positions
            inside = wanted[name][(wanted[name] >= start * count) & (wanted[name] < (start + len(batch)) * count)]
            found = given_at(layer, given, inside - start * count)
            parts[name].append(found[:, list(self.kept[name])] if name in self.kept else found.clone())

        with ExitStack() as stack, torch.no_grad():
            for name in wanted:

                def hook(layer: Any, args: Any, given: Tensor, name: str = name) -> None:
                    look(name, layer, given)

                stack.callback(self.original.get_submodule(name).register_forward_hook(hook).remove)
            for batch in torch.split(self.images, images_at_once(tuple(self.images.shape), 128)):
                run(self.original, batch)
                start += len(batch)
        return parts
