"""Finds the fastest precision, memory format, convolutions and number of threads for a training on this machine by
timing a few steps of each.

bf16 is twice as fast as fp32 if the processor supports it and slower otherwise; channels_last speeds up most
convolutions, but not all; two threads are twice as fast as one, unless other programs delay one of them at every
barrier: then they are ten times slower. No general rule is reliable, so the alternatives are timed.
"""

import copy
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from edgekd.data.dataset import Dataset, View
from edgekd.errors import UnsupportedModelError
from edgekd.training import ranks
from edgekd.training.forward import Precision, teacher_outputs
from edgekd.training.objective import Objective
from edgekd.training.outputs import Outputs
from edgekd.training.step import (
    MemoryFormat,
    learner,
    on_threads,
    place_images,
    run_step,
    seeded,
    training_device,
)
from edgekd.training.taps import Taps
from edgekd.training.teacher import frozen
from edgekd.values import Recovery, Training
from edgekd.values.defaults import training_for
from edgekd.values.training import Convolutions, Execution

_ROUNDS = 3
_DISCARD = 4.0  # alternatives slower by this factor after one round are not timed again
_PIXELS, _FEWEST = 128 * 64 * 64, 8
"""Limits of a timed batch: with 128 images of 224 pixels a step takes ten seconds on two cores, and timing all
alternatives would take longer than many trainings.
"""
_LONG_SECONDS = 180.0
"""Trainings that take longer may save more time by compiling the network than compilation takes (about a minute)."""

Job = Callable[[Execution], Callable[[], object]]
"""Prepares work for one way of execution; the returned function does it once."""


def choose_execution(
    model: nn.Module, data: Dataset, settings: Training, objective: Objective, teacher: nn.Module | None = None
) -> Execution:
    """The fastest way to run a training step of this model, and its teacher's inference, on this machine.

    What `settings` fix (precision, memory format, convolutions, threads) isn't timed. Neither the model nor the global
    random state changes. If two ways are about equally fast, two calls may return different ones: store the result if
    the training must be resumed or repeated exactly.

    Raises:
        UnsupportedModelError: the model fails with all alternatives that `settings` allow.
    """
    settings = training_for(settings, (len(data.train), *data.train.shape))
    assert settings.batch_size is not None
    assert settings.epochs is not None
    precisions = _precisions(settings.precision)
    formats: tuple[MemoryFormat, ...] = ("contiguous", "channels_last")
    if settings.memory_format != "auto":
        formats = (settings.memory_format,)
    view = View(data.augmentation, seed=0, epoch=0)
    images, labels = _timed_on(*next(iter(data.train.batches(settings.batch_size, view))))
    with seeded(0):
        teacher_out = _teacher_outputs(objective, teacher, images)
        learning = _learning(model, settings, objective, (images, labels, teacher_out))
        rates: dict[str, float] = {}
        way = Execution(precision=precisions[0], memory_format=formats[-1])
        ways = {f"{n} threads": way.model_copy(update={"threads": n}) for n in _thread_counts(settings)}
        way = _fastest(ways, learning, len(images), rates)
        ways = {f"{p} {f}": _in(way, p, f, settings) for p in precisions for f in formats}
        way = _fastest(ways, learning, len(images), rates)
        ways = {f"{c} convolutions": way.model_copy(update={"convolutions": c}) for c in _convolutions(way, settings)}
        way = _fastest(ways, learning, len(images), rates)
        if objective.student_taps is None:
            way = _perhaps_compiled(
                way, settings, len(data.train) * settings.epochs, rates, learning, timed=len(images)
            )
        if teacher is not None:
            stated = settings.teacher_precision if isinstance(settings, Recovery) else settings.precision
            ways = {f"teacher {p}": way.model_copy(update={"teacher_precision": p}) for p in _precisions(stated)}
            way = _fastest(ways, _inference(teacher, images, objective.teacher_taps), len(images), rates)
    return way.model_copy(update={"images_per_second": rates})


def _timed_on(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The batch; fewer of large images, but at least eight."""
    count = max(_FEWEST, _PIXELS // (images.shape[2] * images.shape[3]))
    return images[:count], labels[:count]


def _perhaps_compiled(
    way: Execution, settings: Training, images: int, rates: dict[str, float], learning: Job, *, timed: int
) -> Execution:
    """The same way, compiled if that is stated, or if the training, of so many images, is long and compiling helps."""
    fast = way.model_copy(update={"compiled": True})
    if settings.compiled is not None:
        return fast if settings.compiled else way
    rate = rates.get(f"{way.precision} {way.memory_format}")
    if rate is None or ranks.count() > 1 or images / rate < _LONG_SECONDS:
        return way
    return _fastest({"not compiled": way, "compiled": fast}, learning, timed, rates)


def _precisions(stated: Literal["auto", "fp32", "bf16"]) -> tuple[Precision, ...]:
    return ("fp32", "bf16") if stated == "auto" else (stated,)


def _in(way: Execution, precision: Precision, memory_format: MemoryFormat, settings: Training) -> Execution:
    """The way in another precision; bf16 with its usually fastest convolutions: native ones may slow it down."""
    changed = way.model_copy(update={"precision": precision, "memory_format": memory_format})
    return changed.model_copy(update={"convolutions": _convolutions(changed, settings)[-1]})


def _convolutions(way: Execution, settings: Training) -> tuple[Convolutions, ...]:
    """The kinds of convolutions that this way can use."""
    if way.precision != "bf16" or training_device().type != "cpu":
        return ("native",)
    return ("native", "depthwise", "matrices") if settings.convolutions == "auto" else (settings.convolutions,)


def _thread_counts(settings: Training) -> list[int]:
    """Torch's default, and halves of it down to one; only the default on a GPU."""
    counts = [settings.threads or torch.get_num_threads()]
    while counts[-1] > 1 and settings.threads is None and training_device().type == "cpu":
        counts.append(counts[-1] // 2)
    return counts


def _teacher_outputs(objective: Objective, teacher: nn.Module | None, images: Tensor) -> Outputs | None:
    """The teacher's outputs for this batch."""
    if teacher is None:
        return None
    device = training_device()
    prepared = frozen(teacher, images, Execution(), device, whole=True)
    return teacher_outputs(prepared, images.to(device), "fp32", objective.teacher_taps)


def _learning(
    model: nn.Module, settings: Training, objective: Objective, batch: tuple[Tensor, Tensor, Outputs | None]
) -> Job:
    device = training_device()
    images, labels, teacher = batch

    def prepare(way: Execution) -> Callable[[], object]:
        student = learner(copy.deepcopy(model).train(), copy.deepcopy(objective), settings, way)
        return lambda: run_step(student, place_images(images, way, device), labels, teacher)

    return prepare


def _inference(teacher: nn.Module, images: Tensor, taps: Taps | None) -> Job:
    device = training_device()

    def prepare(way: Execution) -> Callable[[], object]:
        module = frozen(teacher, images, way, device, whole=taps is not None)
        return lambda: teacher_outputs(module, place_images(images, way, device), way.teacher_precision, taps)

    return prepare


def _fastest(ways: Mapping[str, Execution], job: Job, images: int, rates: dict[str, float]) -> Execution:
    """The way with the smallest median time over a few alternating rounds; adds images per second to `rates`."""
    if len(ways) == 1:
        return next(iter(ways.values()))
    prepared = {name: job(way) for name, way in ways.items()}
    seconds = _first_times(ways, prepared)
    limit = _DISCARD * min(first for (first,) in seconds.values())
    remaining = [name for name, (first,) in seconds.items() if first <= limit]
    for _ in range(_ROUNDS - 1):
        for name in remaining:
            seconds[name].append(_timed(prepared[name], ways[name].threads))
    found = {name: images / statistics.median(times) for name, times in seconds.items()}
    rates.update(found)
    return ways[max(found, key=found.__getitem__)]


def _first_times(ways: Mapping[str, Execution], prepared: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    """One time, after a warm-up, of each way that doesn't fail."""
    seconds: dict[str, list[float]] = {}
    for name, run in prepared.items():
        try:
            _timed(run, ways[name].threads)
        except UnsupportedModelError as e:
            # perhaps an operation has no kernel for this precision or memory format
            problem = e
        else:
            seconds[name] = [_timed(run, ways[name].threads)]
    if not seconds:
        raise problem
    return seconds


def _timed(run: Callable[[], object], threads: int | None) -> float:
    with on_threads(threads):
        start = time.perf_counter()
        run()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter() - start
