"""Finds the fastest precision, memory format, convolutions and number of threads for a training on this machine by
timing a few steps of each.

bf16 is twice as fast as fp32 if the processor supports it and slower otherwise; channels_last speeds up most
convolutions, but not all; two threads are twice as fast as one, unless other programs delay one of them at every
barrier: then they are ten times slower. No general rule is reliable, so the alternatives are timed.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from edgekd.data.dataset import View
from edgekd.training import ranks
from edgekd.training.device import MemoryFormat, place_images, seeded, training_device
from edgekd.training.fastest import Job, fastest, timed_rate
from edgekd.training.forward import Precision, teacher_outputs
from edgekd.training.outputs import Outputs
from edgekd.training.setup import Setup
from edgekd.training.step import Batch, learner, run_step
from edgekd.training.taps import Taps
from edgekd.training.teacher import frozen
from edgekd.values import Recovery, Training
from edgekd.values.training import Convolutions, Execution

_PIXELS, _FEWEST = 128 * 64 * 64, 8
"""Limits of a timed batch: with 128 images of 224 pixels a step takes ten seconds on two cores, and timing all
alternatives would take longer than many trainings.
"""
_LONG_SECONDS = 180.0
"""Trainings that take longer may save more time by compiling the network than compilation takes (about a minute)."""


def choose_execution(setup: Setup) -> Execution:
    """The fastest way to run a training step of this model, and its teacher's inference, on this machine.

    What the settings fix (precision, memory format, convolutions, threads) isn't timed. Neither the model nor the
    global random state changes. If two ways are about equally fast, two calls may return different ones: store the
    result if the training must be resumed or repeated exactly.

    Raises:
        UnsupportedModelError: the model fails with all alternatives that the settings allow.
    """
    setup, rates = setup.complete(), dict[str, float]()
    settings = setup.settings
    with seeded(0):
        batch = _timed_batch(setup)
        timed, learning = len(batch.images), _learning(setup, batch)
        way = fastest(_threads(settings), learning, timed, rates)
        way = fastest(_arithmetic(way, settings), learning, timed, rates)
        way = fastest(_with_convolutions(way, settings), learning, timed, rates)
        if setup.objective.student_taps is None:
            way = fastest(_perhaps_compiled(way, setup, rates, learning, timed), learning, timed, rates)
        if setup.teacher is not None:
            inference = _inference(setup.teacher, batch.images, setup.objective.teacher_taps)
            way = fastest(_teacher_precisions(way, settings), inference, timed, rates)
    return way.model_copy(update={"images_per_second": rates})


def _timed_batch(setup: Setup) -> Batch:
    """A batch with the teacher's outputs; of large images a smaller one, but of at least eight."""
    assert setup.settings.batch_size is not None
    view = View(setup.data.augmentation, seed=0, epoch=0)
    images, labels = next(iter(setup.data.train.batches(setup.settings.batch_size, view)))
    count = max(_FEWEST, _PIXELS // (images.shape[2] * images.shape[3]))
    images, labels = images[:count], labels[:count]
    return Batch(images, labels, _teacher_outputs(setup, images))


def _threads(settings: Training) -> dict[str, Execution]:
    """Torch's default number of threads, and halves of it down to one; only the default on a GPU."""
    counts = [settings.threads or torch.get_num_threads()]
    while counts[-1] > 1 and settings.threads is None and training_device().type == "cpu":
        counts.append(counts[-1] // 2)
    first = Execution(precision=_precisions(settings.precision)[0], memory_format=_formats(settings)[-1])
    return {f"{n} threads": first.model_copy(update={"threads": n}) for n in counts}


def _arithmetic(way: Execution, settings: Training) -> dict[str, Execution]:
    """Precisions and memory formats; bf16 with its usually fastest convolutions: native ones may slow it down."""
    ways = {}
    for precision in _precisions(settings.precision):
        for memory_format in _formats(settings):
            changed = way.model_copy(update={"precision": precision, "memory_format": memory_format})
            fastest = {"convolutions": _convolutions(changed, settings)[-1]}
            ways[f"{precision} {memory_format}"] = changed.model_copy(update=fastest)
    return ways


def _with_convolutions(way: Execution, settings: Training) -> dict[str, Execution]:
    """The kinds of convolutions that this way can use."""
    kinds = _convolutions(way, settings)
    return {f"{kind} convolutions": way.model_copy(update={"convolutions": kind}) for kind in kinds}


def _perhaps_compiled(
    way: Execution, setup: Setup, rates: Mapping[str, float], learning: Job, timed: int
) -> dict[str, Execution]:
    """The same way, compiled if that is stated, and both if nothing is and the training is long."""
    settings = setup.settings
    ways = {"not compiled": way, "compiled": way.model_copy(update={"compiled": True})}
    if settings.compiled is not None:
        stated = "compiled" if settings.compiled else "not compiled"
        return {stated: ways[stated]}
    assert settings.epochs is not None
    if ranks.count() > 1:
        return {"not compiled": way}
    # where both are stated it wasn't timed yet
    rate = rates.get(f"{way.precision} {way.memory_format}") or timed_rate(way, learning, timed)
    is_long = len(setup.data.train) * settings.epochs / rate >= _LONG_SECONDS
    return ways if is_long else {"not compiled": way}


def _teacher_precisions(way: Execution, settings: Training) -> dict[str, Execution]:
    stated = settings.teacher_precision if isinstance(settings, Recovery) else settings.precision
    return {f"teacher {p}": way.model_copy(update={"teacher_precision": p}) for p in _precisions(stated)}


def _precisions(stated: Literal["auto", "fp32", "bf16"]) -> tuple[Precision, ...]:
    return ("fp32", "bf16") if stated == "auto" else (stated,)


def _formats(settings: Training) -> tuple[MemoryFormat, ...]:
    return ("contiguous", "channels_last") if settings.memory_format == "auto" else (settings.memory_format,)


def _convolutions(way: Execution, settings: Training) -> tuple[Convolutions, ...]:
    """The kinds of convolutions that this way can use, the usually fastest one last."""
    if way.precision != "bf16" or training_device().type != "cpu":
        return ("native",)
    return ("native", "depthwise", "matrices") if settings.convolutions == "auto" else (settings.convolutions,)


def _teacher_outputs(setup: Setup, images: Tensor) -> Outputs | None:
    """The teacher's outputs for this batch."""
    if setup.teacher is None:
        return None
    device = training_device()
    prepared = frozen(setup.teacher, images, Execution(), device, whole=True)
    return teacher_outputs(prepared, images.to(device), "fp32", setup.objective.teacher_taps)


def _learning(setup: Setup, batch: Batch) -> Job:
    device = training_device()

    def prepare(way: Execution) -> Callable[[], object]:
        model, objective = copy.deepcopy(setup.model).train(), copy.deepcopy(setup.objective)
        student = learner(model, objective, setup.settings, way)
        # the rate may not be settled yet, and doesn't change the time
        return lambda: run_step(student, replace(batch, images=place_images(batch.images, way, device)), rate=0.0)

    return prepare


def _inference(teacher: nn.Module, images: Tensor, taps: Taps | None) -> Job:
    device = training_device()

    def prepare(way: Execution) -> Callable[[], object]:
        module = frozen(teacher, images, way, device, whole=taps is not None)
        return lambda: teacher_outputs(module, place_images(images, way, device), way.teacher_precision, taps)

    return prepare
