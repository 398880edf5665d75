"""The shapes that a model takes: what is left open filled in, what doesn't fit told with what would.

An input is a mapping as of `runtimes._base.Session.inputs`: name, shape (with strings or None for open axes), dtype.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_PIXELS = 224  # what an example says for an open axis of an image
_LENGTH = 16  # and of anything else


class WrongInputsError(ValueError):
    """A model can't be fed as asked: why, and what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def complete(
    inputs: Sequence[Mapping[str, Any]], batch: int, given: Mapping[str, Sequence[int]]
) -> dict[str, list[int]]:
    """The whole shape of each input by its name.

    Args:
        inputs: what the model takes.
        batch: the size of a first axis that is open.
        given: whole shapes by name; one under "" is for the only input. Open axes of the same name elsewhere get the
            same size.

    Raises:
        WrongInputsError: axes have no size, or a given shape doesn't fit.
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
    """Raises where a shape is given for no input, or for one that it doesn't fit."""
    for name in sorted(set(given) - {i["name"] for i in inputs}):
        what = f"it has no input {name!r}" if name else "it has several inputs, and --shape names none"
        raise WrongInputsError(f"{what}; it takes {told(inputs)}", hint)
    for i in inputs:
        if i["name"] in given and not fits(i["shape"], given[i["name"]]):
            takes, stated = times(i["shape"]), times(given[i["name"]])
            raise WrongInputsError(f"input {i['name']!r} takes {takes}, which {stated} doesn't fit", hint)


def _sizes_by_name(
    inputs: Sequence[Mapping[str, Any]], batch: int, given: Mapping[str, Sequence[int]]
) -> dict[str, int]:
    """The sizes of open axes that have a name: those of given shapes, then the batch of first axes."""
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
    """The shape with the sizes that are known."""
    filled = [sizes.get(size, size) if isinstance(size, str) else size for size in shape]
    return [batch, *filled[1:]] if filled and filled[0] is None else filled


def _asking(inputs: Sequence[Mapping[str, Any]], batch: int, sizes: Mapping[str, int]) -> str:
    """The hint with options that would do, axes of one name alike."""
    example, options = dict(sizes), []
    for i in inputs:
        likely = _PIXELS if len(i["shape"]) == 4 else _LENGTH
        shape = [
            size if isinstance(size, int) else example.setdefault(size, likely) if size else likely
            for size in _filled(i["shape"], batch, sizes)
        ]
        if any(not isinstance(size, int) for size in i["shape"]):
            options.append(f"--shape {shlex.quote(i['name'] + '=' + times(shape))}")
    return f"Give it, such as {' '.join(options)}" if options else "Leave --shape out: the model states all sizes."


def require_work(shapes: Mapping[str, Sequence[int]]) -> None:
    """Raises where no image would be computed, or nothing at all: that takes no time whatever the model."""
    arrays = {name: shape for name, shape in shapes.items() if len(shape)}
    empty = [name for name, shape in arrays.items() if 0 in shape]
    useless = [name for name in empty if len(arrays[name]) == 4 or len(empty) == len(arrays)]
    for name in useless:
        where = f"axis {list(arrays[name]).index(0)} of input {name!r} has size 0 ({times(arrays[name])})"
        hint = "Export the model with that axis open or of size 1, and feed it at least one image."
        raise WrongInputsError(f"{where}: nothing would be computed", hint)


def fits(sizes: Sequence[Any], shape: Sequence[int]) -> bool:
    """Whether an input of these sizes, some of them open, takes an array of that shape."""
    return len(sizes) == len(shape) and all(s == n or not isinstance(s, int) for s, n in zip(sizes, shape))


def saving(inputs: Sequence[Mapping[str, Any]]) -> str:
    """The hint how to save values for inputs."""
    arrays = ", ".join(f"{i['name']!r}: {i['dtype']} array of shape {times(i['shape'])}" for i in inputs)
    return f"Save it with numpy.savez(FILE, **{{{arrays}}})."


def told(inputs: Iterable[Mapping[str, Any]]) -> str:
    """Name, type and shape of each input."""
    return ", ".join(f"{i['name']!r} ({i['dtype']} {times(i['shape'])})" for i in inputs) or "nothing"


def times(shape: Sequence[Any]) -> str:
    """A shape as `--shape` takes it, with ? for open axes without a name."""
    return "x".join(str(size) if size is not None else "?" for size in shape) or "a single value"
