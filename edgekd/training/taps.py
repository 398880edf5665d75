"""Finds where a network's features are read: at the last layer of every resolution, and before the last linear layer.

They are found by running the network once, so this works for any network, whatever the names of its modules.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from edgekd.training.ensemble import Ensemble
from edgekd.training.outputs import Outputs


@dataclass(frozen=True)
class Taps:
    """The names of the modules whose output or input is read."""

    stages: tuple[str, ...]
    """Modules with outputs (B, C, H, W), in order of execution."""
    embedding: str | None
    """The linear layer whose input is the embedding; None if there is none."""


@dataclass
class _Trace:
    """Input and output sizes (H, W) of modules, in the order in which they end."""

    sizes: dict[str, tuple[tuple[int, int], tuple[int, int]]] = field(default_factory=dict)
    linear: str | None = None


def find_taps(model: nn.Module, images: Tensor) -> Taps:
    """The taps of a network for images (B, C, H, W); for an ensemble those of its first member.

    A stage ends with the last of the largest modules that have parameters and at most halve the resolution: whole
    stages and blocks, not the layers inside.
    """
    if isinstance(model, Ensemble):
        first = find_taps(model.members[0], images)
        embedding = first.embedding and f"members.0.{first.embedding}"
        return Taps(tuple(f"members.0.{name}" for name in first.stages), embedding)
    trace = _traced(model, images)
    whole = set(_whole(model, "", trace))
    last = {given: name for name, (_, given) in trace.sizes.items() if name in whole}
    return Taps(tuple(name for name in trace.sizes if name in last.values()), trace.linear)


def _whole(module: nn.Module, name: str, trace: _Trace) -> Iterator[str]:
    """The largest modules below this one that have parameters and at most halve the resolution."""
    if name in trace.sizes and next(module.parameters(), None) is not None:
        read, given = trace.sizes[name]
        if all(before <= 2 * after for before, after in zip(read, given, strict=True)):
            yield name
            return
    for child, inner in module.named_children():
        yield from _whole(inner, f"{name}.{child}" if name else child, trace)


def _traced(model: nn.Module, images: Tensor) -> _Trace:
    trace = _Trace()

    def note(name: str) -> Callable[[nn.Module, tuple[object, ...], object], None]:
        def hook(module: nn.Module, read: tuple[object, ...], given: object) -> None:
            if isinstance(module, nn.Linear):
                trace.linear = name
            elif read and _is_map(read[0]) and _is_map(given):
                trace.sizes.pop(name, None)
                trace.sizes[name] = (read[0].shape[-2:], given.shape[-2:])  # type: ignore[attr-defined]

        return hook

    handles = [module.register_forward_hook(note(name)) for name, module in model.named_modules() if name]
    training = model.training
    try:
        with torch.inference_mode():
            model.eval()(images)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return trace


def _is_map(value: object) -> bool:
    return isinstance(value, Tensor) and value.ndim == 4


@contextmanager
def tapped(model: nn.Module, taps: Taps) -> Iterator[Callable[[Tensor], Outputs]]:
    """Within the block, the features of the network's next run are recorded; the function adds them to its logits."""
    caught: dict[str, Tensor] = {}

    def output_of(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        return lambda _, __, given: caught.__setitem__(name, given)

    def input_of(_: nn.Module, read: tuple[Tensor, ...]) -> None:
        caught[""] = read[0].flatten(1)

    handles = [model.get_submodule(name).register_forward_hook(output_of(name)) for name in taps.stages]
    if taps.embedding:
        handles.append(model.get_submodule(taps.embedding).register_forward_pre_hook(input_of))
    try:
        yield lambda logits: Outputs(logits, tuple(caught[name] for name in taps.stages), caught.get(""))
    finally:
        for handle in handles:
            handle.remove()
