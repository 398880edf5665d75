"""The proof that a student is the original without the channels that were taken from it, and nothing else.

A student must compute what the original does whose removed channels are silenced. Which inputs of a layer those are is
the very thing that a dependency graph may have wrong, so it isn't asked. Instead the original runs with a mark, NaN, in
every removed channel where a layer produces it. The network's own forward carries the marks wherever it carries the
channel: through norms, activations, additions, concatenations, and through what reorders channels too. The next layer
that mixes channels must find marks in exactly the inputs that the student's layer lacks. What is left of its input
must be the student's input, in that order; its output for zeros in the place of marks must be the student's in the
channels that it kept. Then it goes on from the student's values, so that each layer is held to its own rounding.

Where something runs over channels, as a layer norm does, narrowing changes what it computes, and values can't be
compared: there the channels, their order and the layer's own parameters are still held, the values behind it not.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from edgekd.errors import UnsupportedModelError
from edgekd.prune.pruner import UNPRUNED
from edgekd.prune.watching import watching

_RTOL, _ATOL = 1e-3, 1e-5
"""Of the largest value of the channel, and of all: another order of summing is off by some 1e-6, a mix-up by some 1."""
_MIXING = (nn.modules.conv._ConvNd, nn.Linear)

Calls = dict[str, list[tuple[Any, Any]]]


@dataclass
class _Walk:
    """How far the original's pass has come beside the student's."""

    student: nn.Module
    kept: Mapping[str, tuple[int, ...]]
    calls: Mapping[str, Iterator[tuple[Any, Any]]]
    behind: str = ""
    """The last layer that was narrowed."""
    now: dict[str, tuple[Tensor, Tensor, tuple[int, Tensor] | None]] = field(default_factory=dict)
    """Of each layer that is being run: the student's input and output, and where its own input is narrower."""

    def wrong(self, name: str, what: str) -> UnsupportedModelError:
        layer = repr(name) if name else "the output"
        where = f"between {self.behind!r} and {layer}" if self.behind and self.behind != name else f"at {layer}"
        return UnsupportedModelError(f"channels get mixed up {where}: {layer} {what}", UNPRUNED)


def require_proof(
    original: nn.Module,
    student: nn.Module,
    images: Tensor,
    *,
    kept: Mapping[str, tuple[int, ...]],
    removed: tuple[str, ...] = (),
) -> None:
    """Hold the student to the original without what was taken from it.

    Args:
        original: in eval mode; not changed, but watched while it runs.
        student: a narrower copy in eval mode, with the surviving weights.
        images: (N, C, H, W), some that the network is for.
        kept: the output channels of the original's layers that the student's have, where they are fewer.
        removed: blocks that were taken out; what comes in goes through.

    Raises:
        UnsupportedModelError: the student computes something else; the message names the layer where it begins to.
    """
    names = [name for name, layer in student.named_modules() if name and not any(layer.children())]
    calls: Calls = {name: [] for name in names}
    with watching(student, names, lambda name, given, gave: calls[name].append((given, gave))):
        expected = student(images)
    walk = _Walk(student, kept, {name: iter(seen) for name, seen in calls.items()})
    with ExitStack() as hooks, torch.inference_mode():
        for name in removed:
            hooks.enter_context(original.get_submodule(name).register_forward_hook(_passed_on))
        for name, layer in original.named_modules():
            if name not in calls or name in removed or name.startswith(tuple(f"{block}." for block in removed)):
                continue
            if isinstance(layer, _MIXING):
                hooks.enter_context(layer.register_forward_pre_hook(partial(_enter, walk, name)))
                hooks.enter_context(layer.register_forward_hook(partial(_leave, walk, name)))
            else:
                hooks.enter_context(layer.register_forward_hook(partial(_carry, walk, name)))
        output = original(images)
    if not _same(output, expected, 1):
        raise walk.wrong("", "isn't that of the network without the channels that were taken")


def _enter(walk: _Walk, name: str, layer: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """What a layer that mixes channels reads: the unmarked ones, which must be what the student reads."""
    there, gave = _call(walk, name)
    if len(given) != 1 or there is None:
        return None
    value: Tensor = given[0]
    found = _unmarked(walk, name, value, there)
    walk.now[name] = there, gave, found
    if found is None and value.isnan().all():
        return (there,)  # something ran over all channels: how many they were is in every value
    left = value if found is None else value.index_select(*found)
    if not _same(left, there, -1 if isinstance(layer, nn.Linear) else 1):
        raise walk.wrong(name, "doesn't read the channels that were kept, in their order")
    return (value.nan_to_num(nan=0.0),)


def _leave(walk: _Walk, name: str, layer: nn.Module, _: tuple[Any, ...], output: Tensor) -> Tensor | None:
    """What it gives: the student's values, and marks in the channels that the student's layer hasn't."""
    if name not in walk.now:
        return None
    there, read = walk.now.pop(name)[1:]
    axis = _differing(walk, name, output, there)
    if axis is None:
        kept = None
    elif name in walk.kept:
        kept = torch.tensor(walk.kept[name], dtype=torch.int64)
    elif read is not None and axis == read[0] and isinstance(layer, nn.Linear):
        kept = read[1]  # the channels are on another axis than the one that it mixes
    else:
        raise walk.wrong(name, "has fewer channels, and it isn't known which")
    left = output if axis is None or kept is None else output.index_select(axis, kept)
    if not _same(left, there, -1 if isinstance(layer, nn.Linear) else 1):
        raise walk.wrong(name, "has other weights than those of the channels that were kept")
    if axis is None or kept is None:
        return there.clone()
    walk.behind = name
    return _marked(output, axis, kept, there)


def _carry(walk: _Walk, name: str, layer: nn.Module, given: tuple[Any, ...], output: Any) -> Tensor | None:
    """What any other layer gives: its own values and marks, or the student's where it ran over channels."""
    there, gave = _call(walk, name)
    if not _spreads(given, output):
        return None
    found = _unmarked(walk, name, given[0], there)
    if found is None:
        return None
    axis, kept = found
    own = dict(walk.student.get_submodule(name).named_parameters(recurse=False))
    for key, value in layer.named_parameters(recurse=False):
        at = _differing(walk, name, value, own[key])
        if not torch.equal(value if at is None else value.index_select(at, kept), own[key]):
            raise walk.wrong(name, "has other weights than those of the channels that were kept")
    return _marked(output, axis, kept, gave)


def _spreads(given: tuple[Any, ...], output: Any) -> bool:
    """Whether channels get marked that weren't, as by a norm over them."""
    if len(given) != 1 or not all(isinstance(value, Tensor) for value in (*given, output)):
        return False
    before, after = given[0].isnan(), output.isnan()
    return before.shape == after.shape and bool(before.any() and (before <= after).all() and (before < after).any())


def _passed_on(_: nn.Module, given: tuple[Any, ...], output: Tensor) -> Tensor:
    """A removed block: its input, and marks in the channels that it added."""
    added = output.shape[1] - given[0].shape[1]
    return torch.cat([given[0], torch.full_like(output[:, :added], torch.nan)], dim=1)


def _call(walk: _Walk, name: str) -> tuple[Any, Any]:
    found = next(walk.calls[name], None)
    if found is None:
        raise walk.wrong(name, "runs less often than in the original")
    return found


def _differing(walk: _Walk, name: str, value: Tensor, there: Tensor) -> int | None:
    """The axis on which the student's tensor is narrower; None if on none."""
    axes = [i for i, (size, other) in enumerate(zip(value.shape, there.shape, strict=False)) if size != other]
    if value.dim() != there.dim() or len(axes) > 1:
        shapes = f"{tuple(there.shape)} in place of {tuple(value.shape)}"
        raise walk.wrong(name, f"works on {shapes}, which isn't the same with fewer channels")
    return axes[0] if axes else None


def _unmarked(walk: _Walk, name: str, value: Tensor, there: Tensor) -> tuple[int, Tensor] | None:
    """The axis on which the student's tensor is narrower, and where there are no marks on it; None if on none."""
    axis = _differing(walk, name, value, there)
    marks = value.isnan()
    if axis is None:
        if marks.any() and not marks.all():
            raise walk.wrong(name, "reads channels that were taken")
        return None
    kept = (~marks.movedim(axis, 0).flatten(1).any(dim=1)).nonzero().flatten()
    if len(kept) != there.shape[axis]:
        what = f"reads {there.shape[axis]} channels, where {len(kept)} of {value.shape[axis]} were kept"
        raise walk.wrong(name, what)
    return axis, kept


def _marked(output: Tensor, axis: int, kept: Tensor, there: Tensor) -> Tensor:
    return torch.full_like(output, torch.nan).index_copy_(axis, kept, there)


def _same(value: Tensor, there: Tensor, axis: int) -> bool:
    """Whether these are equal but for rounding, channel by channel."""
    if value.shape != there.shape:
        return False
    difference, size = (each.movedim(axis, 0).flatten(1) for each in ((value - there).abs(), there.abs()))
    allowed = _RTOL * size.amax(dim=1, keepdim=True) + _ATOL * size.max()
    return bool((difference <= allowed).all())
