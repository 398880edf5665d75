"""Prunes an opened network and writes the student: what can't be used, or not be rebuilt from its files, is refused."""

import contextlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgekd.errors import EdgekdError, UnsupportedModelError
from edgekd.pruning._base import Student, Subject
from edgekd.pruning.opening import Opened, output_of
from edgekd.pruning.proof import require_proof
from edgekd.pruning.pruner import UNPRUNED
from edgekd.zoo.cost import macs, nonzero, parameters
from edgekd.zoo.definition import Definition, layers_of, load_pruned
from edgekd.zoo.weights import save_weights

_IMAGES = 2
"""For the proof: it compares every value of every layer, so that few images tell as much as many."""


def write_student(opened: Opened, subject: Subject, *, ratio: float, folder: Path) -> dict[str, Any]:
    """Prune, write the student to `folder`, and say where it is and what it costs.

    Raises:
        UnsupportedModelError: nothing could be pruned, or the student isn't sound or can't be rebuilt.
        StorageError: the folder isn't writable or the disk is full.
        EdgekdError: the method's options, or the data, don't do.
    """
    asked = opened.asked
    student = opened.method.prune(subject, ratio)
    output = _checked_output(opened, student.model)
    if ratio > 0 and not _is_smaller(student.model, subject.model):
        raise _nothing_to_prune(opened, subject, ratio)
    weights, structure = folder / "weights.safetensors", folder / "structure.json"
    try:
        save_weights(student.model, weights)
        _structure(opened, student, ratio).write(structure)
        _check_stored(opened, weights, structure, output)
        _check_proof(opened, subject, student)
    except BaseException:
        for unsound in (weights, structure):
            with contextlib.suppress(OSError):
                unsound.unlink()
        raise
    return {
        "weights": str(weights),
        "structure": str(structure),
        "parameters": parameters(student.model),
        "nonzero": nonzero(student.model),
        "macs": macs(student.model, (asked["channels"], asked["height"], asked["width"])),
    }


def _is_smaller(student: nn.Module, model: nn.Module) -> bool:
    return parameters(student) < parameters(model) or nonzero(student) < nonzero(model)


def _structure(opened: Opened, student: Student, ratio: float) -> Definition:
    """What the student is rebuilt from: its architecture and all that was ever taken from it."""
    same = {key: opened.asked[key] for key in ("model", "classes", "channels", "height", "width", "method", "block")}
    earlier = opened.before.kept if opened.before else {}
    now = {
        layer: tuple(earlier[layer][i] for i in channels) if layer in earlier else channels
        for layer, channels in student.kept.items()
    }
    layers = layers_of(student.model)
    kept = {layer: channels for layer, channels in {**earlier, **now}.items() if layer in layers}
    removed = (*(opened.before.removed if opened.before else ()), *student.removed)
    return Definition(**same, ratio=ratio, kept=kept, removed=removed, layers=layers)


def _checked_output(opened: Opened, student: nn.Module) -> Tensor:
    output: Tensor = output_of(student, opened.subject.example)
    what = f"pruned, {opened.asked['model']} gives"
    if output.shape != opened.output.shape:
        shapes = f"{tuple(output.shape)} where it gave {tuple(opened.output.shape)}"
        raise UnsupportedModelError(f"{what} {shapes}", UNPRUNED)
    if not output.isfinite().all():
        raise UnsupportedModelError(f"{what} infinities or NaN", UNPRUNED)
    return output


def _check_stored(opened: Opened, weights: Path, structure: Path, output: Tensor) -> None:
    rebuilt = output_of(load_pruned(Definition.read(structure), weights), opened.subject.example)
    if not torch.allclose(rebuilt, output, rtol=1e-5, atol=1e-6):
        off = float((rebuilt - output).abs().max())
        message = f"{opened.asked['model']}: the stored student's outputs are off by {off:g}"
        raise UnsupportedModelError(message, UNPRUNED)


def _check_proof(opened: Opened, subject: Subject, student: Student) -> None:
    if not student.kept and not student.removed and layers_of(student.model) == layers_of(subject.model):
        return  # single weights went, or none
    images = torch.cat([subject.images[:_IMAGES], subject.example])  # real ones may be blank
    network = student.surviving or student.model
    try:
        require_proof(subject.model, network, images, kept=student.kept, removed=student.removed)
    except UnsupportedModelError as e:
        raise UnsupportedModelError(f"{opened.asked['model']} can't be pruned: {e.message}", e.hint) from e


def _nothing_to_prune(opened: Opened, subject: Subject, ratio: float) -> EdgekdError:
    model, method = opened.asked["model"], opened.asked["method"]
    larger = [level for level in opened.method.levels(subject) if level > ratio]
    if not larger:
        hint = f"Layers keep whole blocks of {subject.block} channels. {UNPRUNED}"
        return UnsupportedModelError(f"{model} has nothing to prune by {method!r}", hint)
    message = f"a ratio of {ratio:g} takes nothing from {model} by {method!r}"
    return UnsupportedModelError(message, f"The smallest ratio that does is {larger[0]:g}.")
