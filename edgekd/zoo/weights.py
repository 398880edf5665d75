"""Weights of a network in a file.

What is written is safetensors. A pickle can run any code when it is loaded, so one is read only on demand.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from edgekd.errors import StorageError, UnsupportedModelError
from edgekd.files import write_bytes
from edgekd.zoo.another_head import factory_that_changes_the_head
from edgekd.zoo.checkpoint_files import read_checkpoint
from edgekd.zoo.states import State, few, fit, fitting, loadable, states


def save_weights(model: nn.Module, path: Path) -> None:
    """Write the weights and buffers as safetensors, all or nothing.

    Raises:
        StorageError: the folder isn't writable or the disk is full.
    """
    # copies, because safetensors refuses tensors that share memory, as tied weights do
    tensors = {key: value.detach().cpu().contiguous().clone() for key, value in model.state_dict().items()}
    write_bytes(path, safetensors.torch.save(tensors))


def load_weights(model: nn.Module, path: Path, *, trust_checkpoint: bool = False, spec: str = "") -> None:
    """Fill the model with the weights of a file of safetensors, or of one that torch.save wrote.

    The file holds a state dict, bare or under any key, as long as only one fits; a prefix that torch's wrappers and
    trainers put before every name is taken off where the names fit without it and not with it. With
    `trust_checkpoint` a pickle of anything, a whole network too, is loaded, which runs its code.

    Args:
        model: changed in place, and only if all fits.
        path: the file.
        trust_checkpoint: whether a pickle may run its code.
        spec: the model's name, for the factory that is shown where its head alone doesn't fit.

    Raises:
        StorageError: the file is missing, truncated or no checkpoint, or it is a pickle that isn't trusted.
        UnsupportedModelError: its names or shapes aren't the model's, several state dicts in it fit, or its values are
            quantised, NaN or infinite.
    """
    content = read_checkpoint(path, trust=trust_checkpoint)
    found = list(states(content))
    if not found:
        raise StorageError(*_no_state(content, path))
    fits, nearest = fitting(model, found)
    if not fits:
        raise UnsupportedModelError(*_misfit(model, nearest, path, spec))
    state = _the_only([_plain(state, path) for state in fits], path)
    _require_finite(model, state, path)
    model.load_state_dict(loadable(model, state), strict=False)


def _no_state(content: Any, path: Path) -> tuple[str, str]:
    holds = f"has the keys {few(map(str, content))}" if isinstance(content, Mapping) else type(content).__name__
    return f"{path}: holds no state dict: {holds}", "Give a file with a state dict, bare or under any key."


def _misfit(model: nn.Module, state: State, path: Path, spec: str) -> tuple[str, str]:
    compared, own = fit(model, state), model.state_dict()
    differing = [f"{n} {tuple(state.tensors[n].shape)} for {tuple(own[n].shape)}" for n in compared.differing]
    problems = {"missing": compared.missing, "unexpected": compared.unexpected, "of another shape": differing}
    texts = [f"{len(names)} {what}: {few(names)}" for what, names in problems.items() if names]
    hint = "Give the model, with its parameters and number of classes, that these weights were trained for."
    if not (compared.missing or compared.unexpected):
        other_head = factory_that_changes_the_head(model, state, compared.differing, path, spec)
        hint = _other_colour(own, state, compared.differing) or other_head or hint
    return f"{path}: the weights don't fit the model: {'; '.join(texts)}", hint


def _other_colour(own: Mapping[str, Any], state: State, differing: Sequence[str]) -> str | None:
    """What to do with the weights of a convolution that sees RGB where the data's images are grey, or the other way
    round; None where there are none.
    """
    for name in differing:
        theirs, ours = tuple(state.tensors[name].shape), tuple(own[name].shape)
        if len(theirs) == len(ours) == 4 and theirs[0] == ours[0] and {theirs[1], ours[1]} == {1, 3}:
            seen, colour = ("RGB", "rgb") if theirs[1] == 3 else ("grey", "grey")
            return f'They are for {seen} images: set colour = "{colour}" in the recipe\'s [data].'
    return None


def _the_only(fits: list[State], path: Path) -> State:
    """The state that fits; of several only if they say the same."""
    first, *others = fits
    for other in others:
        same = first.tensors.keys() == other.tensors.keys()
        if not same or any(not torch.equal(tensor, other.tensors[name]) for name, tensor in first.tensors.items()):
            what = f"{path}: holds several state dicts that fit the model: {few(state.where for state in fits)}"
            keys = "".join(f"[{key!r}]" for key in first.where.split("."))
            hint = f"Save the one that you mean by itself: torch.save(torch.load(PATH){keys}, 'weights.pt')"
            raise UnsupportedModelError(what, hint)
    return first


def _plain(state: State, path: Path) -> State:
    """With dense tensors of plain numbers."""
    for name, tensor in state.tensors.items():
        if tensor.is_quantized:
            what = f"{path}: quantised: {name} is {tensor.dtype}"
            hint = "Give the float weights that it was made from; edgekd writes INT8 itself."
            raise UnsupportedModelError(what, hint)
    dense = {n: t if t.layout == torch.strided else t.detach().to_dense() for n, t in state.tensors.items()}
    return State(state.where, dense, state.metadata)


def _require_finite(model: nn.Module, state: State, path: Path) -> None:
    """Refuse what a training that went wrong leaves, and packed integers; constants may be infinite, as masks are."""
    own = model.state_dict()
    for name, tensor in state.tensors.items():
        mine = own.get(name)
        if mine is not None and mine.is_floating_point() and not tensor.is_floating_point():
            what = f"{path}: {name} holds {tensor.dtype}, the model's is {mine.dtype}: packed or quantised"
            raise UnsupportedModelError(what, "Give the float weights that it was made from.")
        bad = int(tensor.numel() - tensor.isfinite().sum()) if tensor.is_floating_point() else 0
        if bad and (mine is None or mine.isfinite().all()):
            what = f"{path}: {name} holds {bad:,} values that are NaN or infinite, of {tensor.numel():,}"
            raise UnsupportedModelError(what, "The training that made it diverged: give weights from before.")
