"""Finds where each channel of a network goes by marking it.

Layers' outputs are marked with NaN in a batch whose images encode each channel's number in binary: in image 2b the
channels are marked whose bit b is 1, in image 2b + 1 those whose bit is 0. The network's own forward propagates the
marks to the inputs of other layers, where the numbers are decoded. No operation needs to be known, and mixing of
channels is detected.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from edgekd.pruning.graph import outputs_of

MIXING = (nn.modules.conv._ConvNd, nn.Linear)

_AT_ONCE = 8
"""Images per forward pass: few enough for the feature maps of large networks."""

Places = tuple[tuple[int, ...], ...]
"""The channels that reach each place: usually one or none; several after a pixel shuffle, each at its own pixels."""


@dataclass(frozen=True)
class Reached:
    """Where the channels of one layer go: for each layer that reads them, the channels at each place of its input."""

    inputs: Mapping[str, Places]
    per_channel: Mapping[str, Places]
    """The same for layers that process each channel separately and have tensors for it."""


def mixing_layers(model: nn.Module, example: Tensor) -> tuple[str, ...]:
    """The convolutions and linear layers that run, in order of execution."""
    order: dict[str, None] = {}
    with ExitStack() as hooks, torch.inference_mode():
        for name, layer in model.named_modules():
            if isinstance(layer, MIXING):
                hooks.enter_context(layer.register_forward_hook(partial(_note_run, order, name)))
        model(example)
    return tuple(order)


def _note_run(order: dict[str, None], name: str, *_: Any) -> None:
    order.setdefault(name)


def channel_axis(layer: nn.Module) -> int:
    """The axis of a layer's channels: the last one for a linear layer, otherwise the second."""
    return -1 if isinstance(layer, nn.Linear) else 1


def trace(
    model: nn.Module, example: Tensor, sources: Sequence[str], *, before: Callable[[], None] = lambda: None
) -> dict[str, Reached]:
    """Where the output channels of these layers go; without layers whose channels reach the output or are mixed.

    All are marked at once; if the marks of several layers meet, each half of the layers is marked separately. `before`
    is called before each forward pass.
    """
    found = _marked_at_once(model, example, sources, before)
    if found is not None:
        return found
    half = len(sources) // 2
    parts = (sources[:half], sources[half:]) if half else ()
    return {name: each for part in parts for name, each in trace(model, example, part, before=before).items()}


def mixer(model: nn.Module, example: Tensor, source: str) -> tuple[str, str] | None:
    """Name and type of the first module, other than convolutions, linear layers and norms, whose whole output depends
    on one channel of this layer: attention, for example. None if there is none.
    """
    found: list[str] = []
    seen = _Seen(1, {})
    first = torch.arange(outputs_of(model.get_submodule(source)))[None] == 0
    with ExitStack() as hooks, torch.inference_mode():
        for name, layer in model.named_modules():
            if isinstance(layer, MIXING):
                hooks.enter_context(layer.register_forward_pre_hook(partial(_read, seen, name)))
                continue
            if not any(layer.children()):
                hooks.enter_context(layer.register_forward_hook(partial(_pass, seen, name)))
            if name:
                hooks.enter_context(layer.register_forward_hook(partial(_note_mixing, found, name)))
        hooks.enter_context(model.get_submodule(source).register_forward_hook(partial(_mark, first)))
        model(example)
    return next(((name, type(model.get_submodule(name)).__name__) for name in found), None)


def _note_mixing(found: list[str], name: str, _: nn.Module, given: tuple[Any, ...], output: Any) -> None:
    gave = output[0] if isinstance(output, tuple) and output else output
    if given and isinstance(given[0], Tensor) and isinstance(gave, Tensor):
        marks = given[0].isnan()
        if marks.any() and not marks.all() and gave.isnan().all():
            found.append(name)


def _marked_at_once(
    model: nn.Module, example: Tensor, sources: Sequence[str], before: Callable[[], None]
) -> dict[str, Reached] | None:
    """Where their channels go; None if the marks can't be distinguished."""
    widths = [outputs_of(model.get_submodule(source)) for source in sources]
    bits = max(1, (sum(widths) - 1).bit_length())
    numbers = torch.arange(sum(widths))
    spelt = torch.stack([((numbers >> b) & 1) == one for b in range(bits) for one in (1, 0)])  # (2 bits, channels)
    parts = []
    for part in torch.split(spelt, _AT_ONCE):
        before()
        part_seen = _seen_of(model, example, dict(zip(sources, torch.split(part, widths, dim=1), strict=True)))
        if part_seen is None:
            return None
        parts.append(part_seen)
    seen = {
        name: [torch.cat(calls) for calls in zip(*(part[name] for part in parts), strict=True)] for name in parts[0]
    }
    found = {name: _places(calls, sum(widths)) for name, calls in seen.items()}
    if None in found.values():
        return None
    reached, first = {}, 0
    for source, width in zip(sources, widths, strict=True):
        own_places = {name: _own(places or (), first, width) for name, places in found.items()}
        mixing = {name for name in own_places if isinstance(model.get_submodule(name), MIXING)}
        reached[source] = Reached(
            {name: places for name, places in own_places.items() if name in mixing and any(places)},
            {name: places for name, places in own_places.items() if name not in mixing and any(places)},
        )
        first += width
    return reached


def _seen_of(model: nn.Module, example: Tensor, marked: Mapping[str, Tensor]) -> dict[str, list[Tensor]] | None:
    """The marks that reach each layer in each of its calls; None if one reaches the network's output.

    Args:
        model: the network.
        example: as for `trace`.
        marked: for each layer, which channels are marked in each image, (images, width).
    """
    seen = _Seen(len(next(iter(marked.values()))), {})
    with ExitStack() as hooks, torch.inference_mode():
        for name, layer in model.named_modules():
            if isinstance(layer, MIXING):
                hooks.enter_context(layer.register_forward_pre_hook(partial(_read, seen, name)))
            elif not any(layer.children()):
                hooks.enter_context(layer.register_forward_hook(partial(_pass, seen, name)))
        for source, own in marked.items():
            hooks.enter_context(model.get_submodule(source).register_forward_hook(partial(_mark, own)))
        output = model(example.expand(seen.batch, *example.shape[1:]))
    return None if output.isnan().any() else seen.marks


def _own(places: Places, first: int, width: int) -> Places:
    return tuple(tuple(number - first for number in at if first <= number < first + width) for at in places)


@dataclass(frozen=True)
class _Seen:
    """The marks, by layer and call: (batch, positions, C)."""

    batch: int
    marks: dict[str, list[Tensor]]

    def note(self, name: str, value: Tensor, axis: int) -> None:
        moved = value.isnan().movedim(axis, -1)
        self.marks.setdefault(name, []).append(moved.reshape(self.batch, -1, moved.shape[-1]))


def _mark(spelt: Tensor, layer: nn.Module, _: Any, output: Tensor) -> Tensor:
    moved = output.movedim(channel_axis(layer), 1)  # (2 bits, C, …)
    marked = moved.masked_fill(spelt.view(*spelt.shape, *[1] * (moved.dim() - 2)), torch.nan)
    return marked.movedim(1, channel_axis(layer))


def _read(seen: _Seen, name: str, layer: nn.Module, given: tuple[Any, ...]) -> Any:
    seen.note(name, given[0], channel_axis(layer))
    return (given[0].nan_to_num(nan=0.0), *given[1:])


def _pass(seen: _Seen, name: str, layer: nn.Module, given: tuple[Any, ...], output: Any) -> Any:
    """Any other layer: if it processes each channel separately, its tensors belong to the channels."""
    if len(given) != 1 or not all(isinstance(value, Tensor) for value in (*given, output)):
        return None
    own = [*layer.parameters(recurse=False), *layer.buffers(recurse=False)]
    before, after = given[0].isnan(), output.isnan()
    if not before.any() or before.shape != after.shape:
        return None
    if own:
        is_last = isinstance(layer, nn.LayerNorm | nn.RMSNorm) and given[0].shape[-1] == own[0].numel()
        seen.note(name, given[0], -1 if is_last else 1)
    if (before <= after).all() and (before < after).any():  # a norm over the channels
        return output.nan_to_num(nan=0.0).masked_fill(before, torch.nan)
    return None


def _places(calls: list[Tensor], width: int) -> Places | None:
    """The channels at each place over all calls; None if that can't be decided."""
    found = [_numbers(each, width) for each in calls]
    if any(each is None for each in found):
        return None
    return tuple(tuple(sorted(set().union(*at))) for at in zip(*[each for each in found if each], strict=True))


def _numbers(marks: Tensor, width: int) -> list[tuple[int, ...]] | None:
    """The channels at each place; None if a position has several, or a number that doesn't exist."""
    ones, zeros = marks[0::2], marks[1::2]  # (bits, positions, C)
    reached = ones.any(dim=0) | zeros.any(dim=0)
    if not torch.equal(ones ^ zeros, reached.expand_as(ones)):
        return None
    numbers = sum((ones[b].long() << b for b in range(len(ones))), start=torch.zeros(reached.shape, dtype=torch.int64))
    if int(numbers.max()) >= width:
        return None
    numbers = torch.where(reached, numbers, -1)
    most = numbers.amax(dim=0)
    is_one = ((numbers == most) | ~reached).all(dim=0)
    return [
        ((int(number),) if number >= 0 else ())
        if one
        else tuple(n for n in torch.unique(numbers[:, place]).tolist() if n >= 0)
        for place, (number, one) in enumerate(zip(most.tolist(), is_one.tolist(), strict=True))
    ]
