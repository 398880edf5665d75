"""Test accuracy of a student that edgekd's training distilled, against one of the plain reference loop, seed by seed.

Both distil the same teacher into the same first weights on the same part of Fashion-MNIST, for the same epochs with the
same learning rates, and the last epoch counts: the plain loop in fp32, edgekd's in the arithmetic that is fastest here.

    python tools/bench/accuracy.py --model resnet8 --teacher resnet32 --seeds 3
"""

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import torch
from plain import plain_steps
from torch import nn

from edgekd.data.dataset import Dataset
from edgekd.data.load import load_dataset
from edgekd.data.subset import subset
from edgekd.progress import Silent
from edgekd.studies._statistics import paired_interval
from edgekd.training.engine import train
from edgekd.training.evaluate import evaluate
from edgekd.training.execution import choose_execution
from edgekd.training.objective import Objective, build_objective
from edgekd.training.schedule import learning_rate, steps_per_epoch
from edgekd.training.setup import Means, Setup
from edgekd.values import Training
from edgekd.values.losses import LABELS_ALONE, MOSTLY_TEACHER
from edgekd.values.training import Execution
from edgekd.zoo.build import build


def by_plain(model: nn.Module, teacher: nn.Module, data: Dataset, settings: Training, seed: int) -> nn.Module:
    """The model, trained by the plain loop."""
    torch.manual_seed(seed)
    assert settings.epochs is not None
    steps = settings.epochs * steps_per_epoch(len(data.train), settings.batch_size)

    def rate(step: int) -> float:
        return learning_rate(min(step, steps - 1), steps, settings.learning_rate, settings.warmup)

    for _ in islice(plain_steps(model, teacher, data, settings, rate), steps):
        pass
    return model


def by_edgekd(
    model: nn.Module, teacher: nn.Module | None, data: Dataset, settings: Training, seed: int
) -> Callable[[Execution], nn.Module]:
    """The model, trained by edgekd in some arithmetic, with the weights of its last epoch."""

    def trained(execution: Execution) -> nn.Module:
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = Path(folder) / "checkpoint"
            setup = Setup(model, objective(model, teacher, data), data, settings, seed, teacher)
            train(setup, execution, Means(checkpoint, Silent()))
            # not the best epoch's, as the plain loop doesn't look for one
            model.load_state_dict(torch.load(checkpoint, weights_only=True)["model"])
        return model

    return trained


def objective(model: nn.Module, teacher: nn.Module | None, data: Dataset) -> Objective:
    """The labels, and the teacher if there is one."""
    images, _ = next(iter(data.val.batches(2)))
    return build_objective(LABELS_ALONE if teacher is None else MOSTLY_TEACHER, model, teacher, images)


def fastest(model: nn.Module, teacher: nn.Module | None, data: Dataset, settings: Training) -> Execution:
    """The arithmetic that edgekd would choose."""
    return choose_execution(Setup(model, objective(model, teacher, data), data, settings, 0, teacher))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet8")
    parser.add_argument("--teacher", default="resnet32")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--train-per-class", type=int, default=1000)
    parser.add_argument("--data-root", type=Path)
    options = parser.parse_args()

    data = subset(load_dataset("fashion-mnist", root=options.data_root), train_per_class=options.train_per_class)
    settings = Training(epochs=options.epochs, batch_size=128, learning_rate=0.1)
    shape = {"classes": len(data.classes), "channels": data.train.shape[0]}

    torch.manual_seed(0)
    teacher = build(options.teacher, **shape)
    by_edgekd(teacher, None, data, settings, 0)(fastest(teacher, None, data, settings))
    teacher.eval()
    execution = fastest(build(options.model, **shape), teacher, data, settings)
    found: dict[str, dict[int, float]] = {"plain loop": {}, "edgekd": {}}
    seconds = dict.fromkeys(found, 0.0)
    for seed in range(options.seeds):
        torch.manual_seed(seed)
        model = build(options.model, **shape)
        for name in found:
            start = time.perf_counter()
            given = (copy.deepcopy(model), teacher, data, settings, seed)
            student = by_plain(*given) if name == "plain loop" else by_edgekd(*given)(execution)
            seconds[name] += time.perf_counter() - start
            found[name][seed] = 100 * evaluate(student, data.test).top1

    print(
        f"{options.model} taught by {options.teacher} ({100 * evaluate(teacher, data.test).top1:.2f} %),"
        f" {data.name}, {len(data.train):,} images, {options.epochs} epochs;"
        f" edgekd in {execution.precision}, {execution.memory_format}, on {execution.threads} threads\n"
    )
    print(f"| loop | {' | '.join(f'seed {n}' for n in range(options.seeds))} | mean | times the plain loop |")
    print("|---|" + "--:|" * (options.seeds + 2))
    for name, accuracies in found.items():
        cells = " | ".join(f"{value:.2f}" for value in accuracies.values())
        speed = seconds["plain loop"] / seconds[name]
        print(f"| {name} | {cells} | {statistics.fmean(accuracies.values()):.2f} | {speed:.2f} |")
    paired = paired_interval(found["edgekd"], found["plain loop"])
    assert paired
    mean, interval, _ = paired
    says = f", 95 % interval [{interval.low:+.2f}, {interval.high:+.2f}]" if interval else ""
    print(f"\nedgekd less the plain loop: {mean:+.2f} points{says}")


if __name__ == "__main__":
    main()
