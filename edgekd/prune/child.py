"""The process that prunes: `python -m edgekd.prune.child`, started and limited by `prune.pruner`.

Networks that the dependency graph can't follow may run for hours or take all memory, and only a process can be ended.
Reads one JSON request a line: the first says what to prune (`Pruner` lists the fields), then {"do": "levels"} or
{"do": "prune", "ratio": …, "folder": …} as often as asked, each from the unpruned network. Every request gets one
JSON line of answer; an expected failure is {"failure": class of edgekd.errors, "message": …, "hint": …}.
"""

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, cast

import torch
from torch import Tensor, nn

from edgekd import catalog
from edgekd.errors import EdgekdError, UnsupportedModelError
from edgekd.prune._base import Method, Student
from edgekd.prune.pruner import UNPRUNED
from edgekd.zoo.build import build
from edgekd.zoo.cost import macs, parameters
from edgekd.zoo.structure import Structure, layers_of, load_student
from edgekd.zoo.weights import load_weights, save_weights


@dataclass(frozen=True)
class Teacher:
    """The unpruned network, how to prune it, and one input with what the network makes of it."""

    model: nn.Module
    example: Tensor  # (1, C, H, W)
    output: Tensor  # (1, classes)
    method: Method
    asked: Mapping[str, Any]


def main() -> None:
    """Answer the requests on stdin until it ends."""
    answers = _take_stdout()
    asked = json.loads(sys.stdin.readline())
    _limit_memory(asked["memory_bytes"])
    try:
        teacher = open_teacher(asked)
    except Exception as e:  # the user's network may raise anything
        _say(answers, _failure(e, asked["model"]))
        return
    _say(answers, {})
    for line in sys.stdin:
        try:
            answer = _answer(teacher, json.loads(line))
        except Exception as e:  # torch-pruning may raise anything on a structure that is new to it
            answer = _failure(e, asked["model"])
        _say(answers, answer)


def open_teacher(asked: Mapping[str, Any]) -> Teacher:
    """The network that was asked for, with its weights; random ones of a fixed seed if none are given."""
    torch.manual_seed(0)
    model = build(asked["model"], classes=asked["classes"], channels=asked["channels"])
    if asked["weights"] is not None:
        load_weights(model, Path(asked["weights"]))
    example = torch.randn(1, asked["channels"], asked["height"], asked["width"])
    output = _output(model, example)
    if not isinstance(output, Tensor) or output.shape != (1, asked["classes"]):
        given = tuple(output.shape) if isinstance(output, Tensor) else f"a {type(output).__name__}"
        message = f"{asked['model']} gives {given} for one image, not (1, {asked['classes']})"
        raise UnsupportedModelError(message, "Give a classifier whose only output is one row of scores an image.")
    if not output.isfinite().all():
        raise UnsupportedModelError(f"{asked['model']} gives infinities or NaN, unpruned", "Check its weights.")
    method = cast(Method, catalog.load("prune.methods", asked["method"]))
    return Teacher(model, example, output, method, asked)


def prune(teacher: Teacher, *, ratio: float, folder: Path) -> dict[str, Any]:
    """Prune, write the student to `folder`, and answer where it is and what it costs.

    Raises:
        UnsupportedModelError: nothing could be pruned, or the student isn't sound or can't be rebuilt.
        StorageError: the folder isn't writable or the disk is full.
    """
    asked = teacher.asked
    student = teacher.method.prune(teacher.model, teacher.example, ratio=ratio, block=asked["block"])
    output = _checked_output(teacher, student.model)
    if ratio > 0 and parameters(student.model) >= parameters(teacher.model):
        raise _nothing_to_prune(teacher, ratio)
    weights, structure = folder / "weights.safetensors", folder / "structure.json"
    try:
        save_weights(student.model, weights)
        _structure(asked, student, ratio).write(structure)
        _check_stored(teacher, weights, structure, output)
    except BaseException:
        for unsound in (weights, structure):
            with contextlib.suppress(OSError):
                unsound.unlink()
        raise
    shape = (asked["channels"], asked["height"], asked["width"])
    return {
        "weights": str(weights),
        "structure": str(structure),
        "parameters": parameters(student.model),
        "macs": macs(student.model, shape),
    }


def _answer(teacher: Teacher, request: Mapping[str, Any]) -> dict[str, Any]:
    if request["do"] == "levels":
        return {"levels": _levels(teacher)}
    return prune(teacher, ratio=request["ratio"], folder=Path(request["folder"]))


def _failure(error: Exception, model: str) -> dict[str, Any]:
    # what PyTorch's allocator says when the system refuses, as a RuntimeError
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return {"failure": "memory"}
    if isinstance(error, EdgekdError):
        return {"failure": type(error).__name__, "message": error.message, "hint": error.hint}
    message = f"{model} can't be pruned: {type(error).__name__}: {error}"
    return {"failure": "UnsupportedModelError", "message": message, "hint": UNPRUNED}


def _say(answers: TextIO, answer: Mapping[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _structure(asked: Mapping[str, Any], student: Student, ratio: float) -> Structure:
    same = {key: asked[key] for key in ("model", "classes", "channels", "height", "width", "method", "block")}
    return Structure(**same, ratio=ratio, kept=dict(student.kept), layers=layers_of(student.model))


def _checked_output(teacher: Teacher, student: nn.Module) -> Tensor:
    output: Tensor = _output(student, teacher.example)
    what = f"pruned, {teacher.asked['model']} gives"
    if output.shape != teacher.output.shape:
        shapes = f"{tuple(output.shape)} where it gave {tuple(teacher.output.shape)}"
        raise UnsupportedModelError(f"{what} {shapes}", UNPRUNED)
    if not output.isfinite().all():
        raise UnsupportedModelError(f"{what} infinities or NaN", UNPRUNED)
    return output


def _check_stored(teacher: Teacher, weights: Path, structure: Path, output: Tensor) -> None:
    rebuilt = _output(load_student(Structure.read(structure), weights), teacher.example)
    if not torch.allclose(rebuilt, output, rtol=1e-5, atol=1e-6):
        off = float((rebuilt - output).abs().max())
        message = f"{teacher.asked['model']}: the stored student's outputs are off by {off:g}"
        raise UnsupportedModelError(message, UNPRUNED)


def _nothing_to_prune(teacher: Teacher, ratio: float) -> EdgekdError:
    model, block = teacher.asked["model"], teacher.asked["block"]
    levels = _levels(teacher)
    if len(levels) == 1:
        message = f"{model} has nothing to prune: no layer can lose channels in blocks of {block}"
        return UnsupportedModelError(message, UNPRUNED)
    message = f"a ratio of {ratio:g} takes nothing from {model} in blocks of {block} channels"
    return UnsupportedModelError(message, f"The smallest ratio that does is {levels[1]:g}.")


def _levels(teacher: Teacher) -> tuple[float, ...]:
    return teacher.method.levels(teacher.model, teacher.example, block=teacher.asked["block"])


def _output(model: nn.Module, example: Tensor) -> Any:
    with torch.inference_mode():
        return model.eval()(example)


def _take_stdout() -> TextIO:
    """The stream for answers. What else prints goes to stderr, so that it can't garble them."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _limit_memory(limit_bytes: int) -> None:
    """Let the system refuse more, where it can: the parent looks only now and then, and a graph can grow fast."""
    try:
        import resource
    except ImportError:  # Windows
        return
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    if hard == resource.RLIM_INFINITY or limit_bytes <= hard:
        resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, hard))


if __name__ == "__main__":
    main()
