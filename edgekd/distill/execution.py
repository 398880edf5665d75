"""Which precision and memory format train a model fastest here, found by timing a few steps of each.

bf16 is twice as fast as fp32 where the processor has units for it and slower where it has none, channels_last helps
most convolutions and not all: no rule replaces the clock.
"""

import copy
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from edgekd.data.dataset import Dataset, View
from edgekd.distill.losses._base import Loss
from edgekd.distill.step import (
    Learner,
    MemoryFormat,
    Precision,
    place,
    place_images,
    run_step,
    seeded,
    sgd,
    teach,
    training_device,
)
from edgekd.distill.teacher import frozen
from edgekd.errors import UnsupportedModelError
from edgekd.results import Execution
from edgekd.schema import Training

_ROUNDS = 3
_HOPELESS = 2.0  # times slower than the fastest after one round: not timed again


def choose_execution(
    model: nn.Module, data: Dataset, settings: Training, loss: Loss, teacher: nn.Module | None = None
) -> Execution:
    """The fastest way to run a training step of this model, and its teacher's inference, on this machine.

    What `settings` fix is taken as it is, and nothing is timed where they leave no choice. Neither the model nor the
    global random state changes. Two calls may answer differently where two ways are about as fast: keep the answer
    where training is to be resumed or repeated exactly.

    Raises:
        UnsupportedModelError: the model runs in none of the ways that `settings` leave.
    """
    view = View(data.augmentation, seed=0, epoch=0)
    images, labels = next(iter(data.train.batches(settings.batch_size, view)))
    with seeded(0):
        chosen, rates = _time_student(model, settings, _with_known_teacher(loss, teacher, images), images, labels)
        if teacher is not None:
            precision, teacher_rates = _time_teacher(teacher, settings, chosen, images)
            chosen, rates = chosen.model_copy(update={"teacher_precision": precision}), rates | teacher_rates
    return chosen.model_copy(update={"images_per_second": rates})


def _with_known_teacher(loss: Loss, teacher: nn.Module | None, images: Tensor) -> Loss:
    """The loss for this batch alone, with the teacher's part of the work already done."""
    if teacher is None:
        return loss
    device = training_device()
    taught = teach(frozen(teacher, images, Execution(), device), images.to(device), "fp32")
    return lambda student_logits, _, labels: loss(student_logits, taught, labels)


def _time_student(
    model: nn.Module, settings: Training, loss: Loss, images: Tensor, labels: Tensor
) -> tuple[Execution, dict[str, float]]:
    formats: tuple[MemoryFormat, ...] = ("contiguous", "channels_last")
    if settings.memory_format != "auto":
        formats = (settings.memory_format,)
    ways = {f"{p} {f}": Execution(precision=p, memory_format=f) for p in _precisions(settings) for f in formats}
    if len(ways) == 1:
        return next(iter(ways.values())), {}
    device = training_device()

    def step(way: Execution) -> Callable[[], object]:
        student = place(copy.deepcopy(model), way, device).train()
        learner = Learner(student, None, loss, sgd(student, settings), way, device)
        return lambda: run_step(learner, images, labels)

    rates = _rates({name: step(way) for name, way in ways.items()}, len(images))
    return ways[max(rates, key=rates.__getitem__)], rates


def _time_teacher(
    teacher: nn.Module, settings: Training, chosen: Execution, images: Tensor
) -> tuple[Precision, dict[str, float]]:
    precisions = _precisions(settings)
    if len(precisions) == 1:
        return precisions[0], {}
    device = training_device()
    module = frozen(teacher, images, chosen, device)

    def infer(precision: Precision) -> Callable[[], object]:
        return lambda: teach(module, place_images(images, chosen, device), precision)

    names: dict[str, Precision] = {f"teacher {p}": p for p in precisions}
    rates = _rates({name: infer(p) for name, p in names.items()}, len(images))
    return names[max(rates, key=rates.__getitem__)], rates


def _precisions(settings: Training) -> tuple[Precision, ...]:
    return ("fp32", "bf16") if settings.precision == "auto" else (settings.precision,)


def _rates(ways: Mapping[str, Callable[[], object]], images: int) -> dict[str, float]:
    """Images a second of each way that runs: the best of a few rounds in turn, after a warm-up."""
    seconds: dict[str, float] = {}
    for name, run in ways.items():
        try:
            _timed(run)
        except RuntimeError as e:
            # The way torch says that an operation has no kernel for this precision or memory format
            problem = e
        else:
            seconds[name] = _timed(run)
    if not seconds:
        raise UnsupportedModelError(f"the model can't be trained here: {problem}", "Check it with one batch in torch.")
    hopeful = [name for name in seconds if seconds[name] <= _HOPELESS * min(seconds.values())]
    for _ in range(_ROUNDS - 1):
        for name in hopeful:
            seconds[name] = min(seconds[name], _timed(ways[name]))
    return {name: images / best for name, best in seconds.items()}


def _timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start
