"""Input shapes: fills in dynamic axes and rejects shapes that don't match, with a hint what would.

An input is a mapping as in `runtimes._base.Session.inputs`: name, shape (strings or None for dynamic axes), dtype.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_PIXELS = 224  # in examples: the size of a dynamic axis of an image
_LENGTH = 16  # in examples: the size of any other dynamic axis


class WrongInputsError(ValueError):
    """Inputs that don't match the model, with a hint."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def complete(
    inputs: Sequence[Mapping[str, Any]], batch: int, given: Mapping[str, Sequence[int]]
) -> dict[str, list[int]]:
    """The complete shape of each input by name.

    Args:
        inputs: the model's inputs.
        batch: size of a dynamic first axis.
        given: complete shapes by name; "" stands for the only input. Dynamic axes of the same name in other inputs
            get the same size.

    Raises:
        WrongInputsError: axes have no size, or a given shape doesn't match.
    """
    stated = dict(given)
    if "" in stated and len(inputs) == 1:
        stated[inputs[0]["name"]] = stated.pop("")
    sizes = _sizes_by_name(inputs, batch, stated)
    _require_known(inputs, stated, _asking(inputs, batch, sizes))
    found = {i["name"]: list(stated.get(i["name"]) or _filled(i["shape"], batch, sizes)) for i in inputs}
    open_axes = [
        f"axis {axis}{f' ({size})' if size else ''} of input {name!r}"
        for name, shape in found.items()
        for axis, size in enumerate(shape)
        if not isinstance(size, int)
    ]
    if open_axes:
        left = [i for i in inputs if not all(isinstance(size, int) for size in found[i["name"]])]
        raise WrongInputsError(f"no fixed size: {', '.join(open_axes)}", _asking(left, batch, sizes))
    require_work(found)
    return found


def _require_known(inputs: Sequence[Mapping[str, Any]], given: Mapping[str, Sequence[int]], hint: str) -> None:
    """Raises if a shape is given for an unknown input, or doesn't match its input."""
    for name in sorted(set(given) - {i["name"] for i in inputs}):
        what = f"the model has no input {name!r}" if name else "the model has several inputs; --shape needs a name"
        raise WrongInputsError(f"{what}; its inputs are {listed(inputs)}", hint)
    for i in inputs:
        if i["name"] in given and not fits(i["shape"], given[i["name"]]):
            takes, stated = times(i["shape"]), times(given[i["name"]])
            raise WrongInputsError(f"input {i['name']!r} has shape {takes}, which {stated} doesn't match", hint)


def _sizes_by_name(
    inputs: Sequence[Mapping[str, Any]], batch: int, given: Mapping[str, Sequence[int]]
) -> dict[str, int]:
    """The sizes of named dynamic axes: those of given shapes, then the batch size for first axes."""
    sizes: dict[str, int] = {}
    for i in inputs:
        for label, size in zip(i["shape"], given.get(i["name"], ())):
            if isinstance(label, str):
                sizes.setdefault(label, size)
    for i in inputs:
        if i["shape"] and isinstance(i["shape"][0], str) and i["name"] not in given:
            sizes.setdefault(i["shape"][0], batch)
    return sizes


def _filled(shape: Sequence[Any], batch: int, sizes: Mapping[str, int]) -> list[Any]:
    """The shape with all known sizes filled in."""
    filled = [sizes.get(size, size) if isinstance(size, str) else size for size in shape]
    return [batch, *filled[1:]] if filled and filled[0] is None else filled


def _asking(inputs: Sequence[Mapping[str, Any]], batch: int, sizes: Mapping[str, int]) -> str:
    """A hint with options that would match; axes of the same name get the same size."""
    example, options = dict(sizes), []
    for i in inputs:
        likely = _PIXELS if len(i["shape"]) == 4 else _LENGTH
        shape = [
            size if isinstance(size, int) else example.setdefault(size, likely) if size else likely
            for size in _filled(i["shape"], batch, sizes)
        ]
        if any(not isinstance(size, int) for size in i["shape"]):
            options.append(f"--shape {shlex.quote(i['name'] + '=' + times(shape))}")
    return f"Specify it, for example {' '.join(options)}" if options else "Omit --shape: the model has fixed sizes."


def require_work(shapes: Mapping[str, Sequence[int]]) -> None:
    """Raises if the inputs are empty: the latency would say nothing about the model."""
    arrays = {name: shape for name, shape in shapes.items() if len(shape)}
    empty = [name for name, shape in arrays.items() if 0 in shape]
    useless = [name for name in empty if len(arrays[name]) == 4 or len(empty) == len(arrays)]
    for name in useless:
        where = f"axis {list(arrays[name]).index(0)} of input {name!r} has size 0 ({times(arrays[name])})"
        hint = "Export the model with that axis dynamic or of size 1, and give at least one image."
        raise WrongInputsError(f"{where}: nothing would be computed", hint)


def fits(sizes: Sequence[Any], shape: Sequence[int]) -> bool:
    """Whether an input of these sizes, some of them dynamic, accepts an array of that shape."""
    return len(sizes) == len(shape) and all(s == n or not isinstance(s, int) for s, n in zip(sizes, shape))


def saving(inputs: Sequence[Mapping[str, Any]]) -> str:
    """A hint how to save values for inputs."""
    arrays = ", ".join(f"{i['name']!r}: {i['dtype']} array of shape {times(i['shape'])}" for i in inputs)
    return f"Save it with numpy.savez(FILE, **{{{arrays}}})."


def listed(inputs: Iterable[Mapping[str, Any]]) -> str:
    """Name, type and shape of each input."""
    return ", ".join(f"{i['name']!r} ({i['dtype']} {times(i['shape'])})" for i in inputs) or "nothing"


def times(shape: Sequence[Any]) -> str:
    """A shape in the syntax of `--shape`, with ? for unnamed dynamic axes."""
    return "x".join(str(size) if size is not None else "?" for size in shape) or "a single value"
