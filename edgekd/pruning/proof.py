"""Proves that a student is the original without its removed channels, and nothing else.

The student must compute what the original computes when its removed channels are zero. Which inputs of a layer those
are is exactly what a dependency graph may have wrong, so the graph isn't used. Instead the original runs with a mark,
NaN, in every removed channel of a layer's output. The network's own forward propagates the marks with the channels:
through norms, activations, additions, concatenations and permutations. The next layer that mixes channels must find
marks in exactly the inputs that the student's layer lacks. Its unmarked input must equal the student's input, in the
same order, and its output, with zeros for the marks, must equal the student's in the kept channels. The pass continues
with the student's values, so that the rounding of each layer is compared alone.

An operation over channels, such as a layer norm, computes something else when it is narrowed, so values after it can't
be compared: only the channels, their order and the parameters of the layer are checked there.

Some code drops NaN, such as torch.where(x > 0, x, 0). If marks are lost, the original runs again with two copies of
the images: removed channels hold different random values in each, and a difference is a mark. The proof doesn't depend
on how marks are made: everything unmarked must have the student's values.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from edgekd.errors import UnsupportedModelError
from edgekd.pruning.walk import Walk
from edgekd.pruning.watching import watching

_RTOL, _ATOL = 1e-3, 1e-5
"""Relative to the largest value of the channel, and of all. Another order of summation differs by about 1e-6, swapped
channels by about 1.
"""
_MIXING = (nn.modules.conv._ConvNd, nn.Linear)


def require_proof(
    original: nn.Module,
    student: nn.Module,
    images: Tensor,
    *,
    kept: Mapping[str, tuple[int, ...]],
    removed: tuple[str, ...] = (),
) -> None:
    """Check that the student is the original without the removed channels and blocks.

    Args:
        original: in eval mode; not changed, but hooked while it runs.
        student: a narrower copy in eval mode, with the remaining weights.
        images: (N, C, H, W), typical inputs of the network.
        kept: for each narrowed layer, the output channels of the original that the student keeps.
        removed: removed blocks; each passes its input through.

    Raises:
        UnsupportedModelError: the student computes something else; the message names the first layer that differs.
    """
    walk = Walk(student, kept)
    try:
        _compare(walk, original, images, removed)
    except UnsupportedModelError as e:
        if not walk.lost:
            raise
        try:
            _compare(Walk(student, kept, paired=True), original, images, removed)
        except Exception:  # code that depends on the number of images may raise anything
            raise e from None


def _compare(walk: Walk, original: nn.Module, images: Tensor, removed: tuple[str, ...]) -> None:
    """Raises UnsupportedModelError where the student computes something else."""
    names = [name for name, layer in walk.student.named_modules() if name and not any(layer.children())]
    calls: dict[str, list[tuple[Any, Any]]] = {name: [] for name in names}
    images = torch.cat([images, images]) if walk.paired else images
    with watching(walk.student, names, lambda name, given, gave: calls[name].append((given, gave))):
        expected = walk.student(images)
    walk.calls = {name: iter(seen) for name, seen in calls.items()}
    with ExitStack() as hooks, torch.inference_mode():
        for name in removed:
            hooks.enter_context(original.get_submodule(name).register_forward_hook(partial(_passed_on, walk)))
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
        raise walk.wrong("", "isn't that of the network without the removed channels")
    if walk.unheld:
        _require_own_tensors(walk, original)


def _require_own_tensors(walk: Walk, original: nn.Module) -> None:
    """After an operation over all channels, values can't show whether a tensor outside layers is narrowed correctly."""
    others = dict(walk.student.named_parameters(remove_duplicate=False))
    for path, module in original.named_modules():
        for key, value in module.named_parameters(recurse=False) if any(module.children()) else ():
            name = f"{path}.{key}" if path else key
            if name in others and not _is_part(walk, name, value, others[name]):
                raise walk.wrong(walk.unheld, f"depends on all channels, and {name!r} does not belong to any layer")


def _is_part(walk: Walk, name: str, value: Tensor, there: Tensor) -> bool:
    """Whether a tensor is the original's, or its part for the kept channels of some layer."""
    axis = walk.differing(name, value, there)
    if axis is None:
        return torch.equal(value, there)
    fits = (at for at in walk.kept.values() if len(at) == there.shape[axis] and max(at) < value.shape[axis])
    return any(torch.equal(value.index_select(axis, torch.tensor(at)), there) for at in fits)


def _enter(walk: Walk, name: str, layer: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Check the input of a layer that mixes channels: its unmarked channels must be the student's input."""
    there, gave = _call(walk, name)
    if len(given) != 1 or there is None:
        return None
    value: Tensor = given[0]
    found, marks = walk.unmarked(name, value, there), walk.marks(value)
    walk.now[name] = there, gave, found
    if found is None and marks.all():
        walk.unheld = walk.unheld or name
        return (there,)  # an operation over all channels: every value depends on their number
    left = value if found is None else value.index_select(*found)
    if not _same(left, there, -1 if isinstance(layer, nn.Linear) else 1):
        raise walk.wrong(name, "doesn't read the kept channels in their order")
    return (value.masked_fill(marks, 0),)


def _leave(walk: Walk, name: str, layer: nn.Module, _: tuple[Any, ...], output: Tensor) -> Tensor | None:
    """Replace its output by the student's values, with marks in the removed channels."""
    if name not in walk.now:
        return None
    there, read = walk.now.pop(name)[1:]
    axis = walk.differing(name, output, there)
    if axis is None:
        kept = None
    elif name in walk.kept:
        kept = torch.tensor(walk.kept[name], dtype=torch.int64)
    elif read is not None and axis == read[0] and isinstance(layer, nn.Linear):
        kept = read[1]  # the channels are on another axis than the one it mixes
    else:
        raise walk.wrong(name, "has fewer channels, and which ones is unknown")
    left = output if axis is None or kept is None else output.index_select(axis, kept)
    if not _same(left, there, -1 if isinstance(layer, nn.Linear) else 1):
        raise walk.wrong(name, "has other weights than those of the kept channels")
    if axis is None or kept is None:
        return there.clone()
    walk.behind = name
    return walk.marked(output, axis, kept, there)


def _carry(walk: Walk, name: str, layer: nn.Module, given: tuple[Any, ...], output: Any) -> Tensor | None:
    """The output of any other layer: its own values and marks, or the student's if it is an operation over channels."""
    there, gave = _call(walk, name)
    if not _spreads(walk, given, output):
        return None
    found = walk.unmarked(name, given[0], there)
    if found is None:
        return None
    axis, kept = found
    own = dict(walk.student.get_submodule(name).named_parameters(recurse=False))
    for key, value in layer.named_parameters(recurse=False):
        at = walk.differing(name, value, own[key])
        if not torch.equal(value if at is None else value.index_select(at, kept), own[key]):
            raise walk.wrong(name, "has other weights than those of the kept channels")
    return walk.marked(output, axis, kept, gave)


def _spreads(walk: Walk, given: tuple[Any, ...], output: Any) -> bool:
    """Whether unmarked channels become marked, as by a norm over channels."""
    if len(given) != 1 or not all(isinstance(value, Tensor) for value in (*given, output)):
        return False
    before, after = walk.marks(given[0]), walk.marks(output)
    return before.shape == after.shape and bool(before.any() and (before <= after).all() and (before < after).any())


def _passed_on(walk: Walk, _: nn.Module, given: tuple[Any, ...], output: Tensor) -> Tensor:
    """The output of a removed block: its input, and marks in the channels that it added."""
    return walk.marked(output, 1, torch.arange(given[0].shape[1]), given[0])


def _call(walk: Walk, name: str) -> tuple[Any, Any]:
    found = next(walk.calls[name], None)
    if found is None:
        raise walk.wrong(name, "runs less often than in the original")
    return found


def _same(value: Tensor, there: Tensor, axis: int) -> bool:
    """Whether these are equal but for rounding, channel by channel."""
    if value.shape != there.shape:
        return False
    difference, size = (each.movedim(axis, 0).flatten(1) for each in ((value - there).abs(), there.abs()))
    allowed = _RTOL * size.amax(dim=1, keepdim=True) + _ATOL * size.max()
    return bool((difference <= allowed).all())
