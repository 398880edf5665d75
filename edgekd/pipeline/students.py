"""Students: the teacher with filters taken out, by ratio."""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from torch import nn

from edgekd import files
from edgekd.pipeline.job import Job
from edgekd.prune.pruner import Pruner
from edgekd.schema import Value
from edgekd.zoo.structure import Structure, load_student


class Student(Value):
    """A pruned network on disk, with the surviving weights."""

    ratio: float
    parameters: int
    macs: int
    sha256: str
    weights: str
    structure: str


class Levels(Value):
    """The ratios that give different widths."""

    ratios: tuple[float, ...]


class Students:
    """Pruned networks by ratio, made in one child process that starts when the first is really needed."""

    def __init__(self, job: Job, weights: Path, sha256: str) -> None:
        self._job = job
        self._weights = weights
        self._inputs = {
            "model": job.recipe.model,
            "teacher": sha256,
            "method": job.recipe.prune.method,
            "block": job.target.channel_block,
            "shape": job.data.train.shape,
        }
        self._children = ExitStack()
        self._pruner: Pruner | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the child, whose memory training can use; it starts again if another student is wanted."""
        self._children.close()
        self._pruner = None

    def levels(self) -> tuple[float, ...]:
        """The ratios that give different widths, ascending from 0."""
        stored, _, _ = self._job.run.stage(
            "levels", self._inputs, Levels, lambda _: Levels(ratios=self._child().levels())
        )
        return stored.ratios

    def at(self, ratio: float) -> tuple[Student, Path]:
        """The student of this ratio, and the folder of its files."""
        student, folder, _ = self._job.run.stage(
            "student", {**self._inputs, "ratio": ratio}, Student, lambda folder: self._prune(ratio, folder)
        )
        return student, folder

    def _prune(self, ratio: float, folder: Path) -> Student:
        pruned = self._child().prune(ratio, folder)
        return Student(
            ratio=ratio,
            parameters=pruned.parameters,
            macs=pruned.macs,
            sha256=files.sha256(pruned.weights),
            weights=pruned.weights.name,
            structure=pruned.structure.name,
        )

    def _child(self) -> Pruner:
        if self._pruner is None:
            channels, height, width = self._job.data.train.shape
            settings = self._job.recipe.prune
            self._pruner = self._children.enter_context(
                Pruner(
                    self._job.recipe.model,
                    classes=len(self._job.data.classes),
                    channels=channels,
                    height=height,
                    width=width,
                    weights=self._weights,
                    method=settings.method,
                    block=self._job.target.channel_block,
                    timeout_s=settings.timeout_s,
                    memory_bytes=settings.memory_bytes,
                )
            )
        return self._pruner


def load(folder: Path, student: Student, weights: Path | None = None) -> nn.Module:
    """The student as a module in eval mode, with its surviving weights or others that were trained for it."""
    return load_student(Structure.read(folder / student.structure), weights or folder / student.weights).eval()
