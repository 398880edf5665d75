"""Repair: what a pruned network regains from images alone, before it is trained.

`recalibrated` gives batch norms the statistics of the narrower network's own activations. `refitted` lets each layer
give, from the channels that stay, what the original's layer gave: least squares over positions of some images, layer
after layer, each on what the layers before it give by then (He et al., "Channel Pruning for Accelerating Very Deep
Neural Networks", ICCV 2017, arXiv 1707.06168, section 3.1). Both are one run of the network.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from edgekd.training.least_squares import Layer, fit, given_at, read_at, sampled
from edgekd.training.watched import Watched, largest_output, watched
from edgekd.values.defaults import images_at_once
from edgekd.zoo.forward import run

_ACTIVATIONS = 128_000_000
"""Bytes that the largest activation of all images may take: they go through the network together, since a layer is
fitted on what the fitted ones before it give.
"""
_FEWEST = 8
_TARGETS = 64_000_000
"""Bytes of the original's outputs that are kept at a time."""

Norm = nn.modules.batchnorm._BatchNorm


def images_for(model: nn.Module, image: Tensor, most: int) -> int:
    """How many images the network can be repaired with within bounds of memory; `image` is one, (1, C, H, W)."""
    return max(_FEWEST, min(most, _ACTIVATIONS // largest_output(model, image)))


def norms(model: nn.Module) -> dict[str, Norm]:
    """The batch norms that have statistics, by name."""
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, Norm)}
    return {name: layer for name, layer in layers.items() if layer.running_mean is not None}


def recalibrated(model: nn.Module, images: Tensor) -> tuple[str, ...]:
    """Give batch norms the statistics of these images (N, C, H, W), in place; raises as the network does.

    Returns:
        The norms that keep their old statistics, since their new ones aren't finite.
    """
    model.eval()
    with _measuring(norms(model)) as odd, torch.no_grad():
        run(model, images)
    return tuple(odd)


def refitted(
    student: nn.Module, original: nn.Module, kept: Mapping[str, Sequence[int]], images: Tensor
) -> tuple[str, ...]:
    """Fit the student's convolutions and linear layers to the original's outputs, in place, in the order in which they
    run; batch norms are recalibrated on the way. Left alone are layers that give what they should, those
    that run several times or share their weights, and those that the original doesn't run so.

    Args:
        student: in evaluation mode; its layers are called as the original's.
        original: in evaluation mode; not changed.
        kept: by layer, the original's outputs that the student has; all of a layer that isn't named.
        images: (N, C, H, W).

    Returns:
        The layers and norms that keep what they had, since nothing finite was found.
    """
    known = watched(original, images[:1])
    layers = {
        name: seen
        for name, seen in watched(student.eval(), images[:1]).items()
        if name in known
        and known[name].size == seen.size
        and len(kept.get(name, known[name].layer.weight)) == len(seen.layer.weight)
    }
    targets = _Targets(original, layers, kept, images)
    odd: list[str] = []

    def refit(name: str, layer: Layer, read: Tensor) -> None:
        positions, wanted = targets.of(name)
        seen = read_at(layer, read, layers[name].size, positions)
        if not fit(layer, seen, wanted, shifted=layers[name].norm is not None):
            odd.append(name)

    with ExitStack() as stack:
        odd_norms = stack.enter_context(_measuring(norms(student)))
        for name, seen in layers.items():

            def hook(layer: Any, args: tuple[Tensor, ...], name: str = name) -> None:
                refit(name, layer, args[0])

            stack.callback(seen.layer.register_forward_pre_hook(hook).remove)
        with torch.no_grad():
            run(student, images)
    return (*odd, *odd_norms)


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
    _positions: dict[str, Tensor] = field(default_factory=dict)
    _known: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        draw = torch.Generator().manual_seed(0)
        for name, seen in self.layers.items():
            self._positions[name] = sampled(seen.layer, seen.positions * len(self.images), draw)

    def of(self, name: str) -> tuple[Tensor, Tensor]:
        """The positions, and the outputs there (positions, outputs that the student has)."""
        if name not in self._known:
            self._record(name)
        return self._known.pop(name)

    def _record(self, first: str) -> None:
        names, bytes_ = list(self.layers), 0
        wanted: dict[str, Tensor] = {}
        for name in names[names.index(first) :]:
            bytes_ += 4 * len(self._positions[name]) * len(self.layers[name].layer.weight)
            if wanted and bytes_ > _TARGETS:
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


@contextmanager
def _measuring(layers: Mapping[str, Norm]) -> Iterator[list[str]]:
    """Within this context norms normalise by what they read, and take its statistics; yields the names of those that
    keep theirs, which is known at the end.
    """
    before = {name: {key: value.clone() for key, value in layer.state_dict().items()} for name, layer in layers.items()}
    momenta = {name: layer.momentum for name, layer in layers.items()}
    odd: list[str] = []
    for layer in layers.values():
        layer.reset_running_stats()
        layer.momentum = None  # the mean over its runs
        layer.train()
    try:
        yield odd
    finally:
        for name, layer in layers.items():
            layer.momentum = momenta[name]
            layer.eval()
            if not layer.num_batches_tracked:  # it didn't run
                layer.load_state_dict(before[name])
            elif not _is_finite(layer.running_mean, layer.running_var):
                odd.append(name)
                layer.load_state_dict(before[name])


def _is_finite(*statistics: Tensor | None) -> bool:
    return all(statistic is not None and bool(statistic.isfinite().all()) for statistic in statistics)
