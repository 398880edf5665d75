"""Students: what a pruning method leaves of the teacher, or of an earlier student, by ratio."""

from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import safetensors.torch

from edgekd import files
from edgekd.data.dataset import Augmentation, View
from edgekd.pipeline.blocks import savings_ms
from edgekd.pipeline.job import Job
from edgekd.pruning.options import method_of
from edgekd.pruning.pruner import Pruner
from edgekd.values import Architecture, Cost, File, Pruning, Value
from edgekd.values.network import Network
from edgekd.zoo import networks

_CALIBRATION_IMAGES = 256
_PROOF_IMAGES = 2
"""The least that is given to any method: what it makes is proven on them."""


class Levels(Value):
    """The ratios that give different widths."""

    ratios: tuple[float, ...]


class Calibration(Value):
    """Training images in a file."""

    file: str


class Students:
    """Pruned networks by ratio, made in one child process that starts when the first is really needed.

    Args:
        job: says which data and target.
        architecture: of the network to prune.
        weights: its weights; None for random ones.
        definition: what is left of the network after an earlier pruning; None where it is whole.
        pruning: how; the recipe's if None.

    Raises:
        EdgekdError: there is no such method, or it has no such option.
    """

    def __init__(
        self,
        job: Job,
        architecture: Architecture,
        weights: File | None,
        *,
        definition: File | None = None,
        pruning: Pruning | None = None,
    ) -> None:
        self._job = job
        self._architecture = architecture
        self._weights = weights
        self._definition = definition
        self._settings = pruning or job.recipe.prune
        method, self._options = method_of(self._settings.method, self._settings.options)
        self._needs_images = method.NEEDS_IMAGES
        self._inputs: dict[str, Any] = {
            "model": architecture.model,
            "network": architecture.identity,
            "teacher": weights.sha256 if weights else "random",
            "structure": definition.sha256 if definition else None,
            "method": self._settings.method,
            "options": self._options,
            "data": job.images,
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

    def at(self, ratio: float) -> Network:
        """The student of this ratio, with the surviving weights; raises as `Pruner.prune` and `savings_ms`."""
        costs = self._costs if ratio else {}
        inputs = {**self._inputs, "ratio": ratio, "costs": costs}
        return self._job.run.stage("student", inputs, Network, lambda to: self._prune(ratio, costs, to))[0]

    def tried(self, ratio: float | None) -> tuple[float, ...]:
        """The ratios that were pruned, for no use but to see that they can be; raises as `Pruner.prune`.

        Args:
            ratio: the one that is wanted; None for the least and the most that there is.
        """

        def build(folder: Path) -> Levels:
            # what is found for random weights needn't be what trained ones give, where they decide the widths
            fixed = self._options.get("scope") != "global"
            levels = self._child().levels()[1:]
            ratios = (ratio,) if ratio is not None and fixed else tuple(dict.fromkeys((*levels[:1], *levels[-1:])))
            measured = {"order": "position"} if self._options.get("order") == "latency" else {}
            for each in ratios:
                self._child().prune(each, folder, options=measured)
            for file in folder.iterdir():
                file.unlink()
            return Levels(ratios=ratios)

        return self._job.shared.stage("tried", {**self._inputs, "ratio": ratio}, Levels, build)[0].ratios

    @cached_property
    def _costs(self) -> dict[str, float]:
        """Milliseconds saved without each block, where the options order the blocks by them."""
        if self._options.get("order") != "latency" or self._options.get("remove"):
            return {}
        return savings_ms(self._job, self._architecture, self._child, self._inputs)

    def _prune(self, ratio: float, costs: dict[str, float], folder: Path) -> Network:
        pruned = self._child().prune(ratio, folder, costs=costs)
        return Network(
            architecture=self._architecture,
            definition=networks.file_of(pruned.structure),
            weights=networks.file_of(pruned.weights),
            sparse=self._settings.method == "weights",
            cost=Cost(parameters=pruned.parameters, nonzero=pruned.nonzero, macs=pruned.macs),
            origin="pruned",
        )

    def _child(self) -> Pruner:
        if self._pruner is None:
            network = self._architecture
            self._pruner = self._children.enter_context(
                Pruner(
                    network.model,
                    classes=network.classes,
                    channels=network.channels,
                    height=network.height,
                    width=network.width,
                    weights=self._weights.path if self._weights else None,
                    structure=self._definition.path if self._definition else None,
                    method=self._settings.method,
                    options=self._options,
                    calibration=_calibration(self._job, _CALIBRATION_IMAGES if self._needs_images else _PROOF_IMAGES),
                    block=self._job.target.channel_block,
                    timeout_s=self._settings.timeout_s,
                    memory_bytes=self._settings.memory_bytes,
                )
            )
        return self._pruner


def _calibration(job: Job, count: int) -> Path:
    """A file of training images, always the same ones, not augmented, with their labels."""

    def build(folder: Path) -> Calibration:
        view = View(Augmentation(pad=0, flip=False), seed=0, epoch=0)  # shuffled: folders are sorted by class
        images, labels = next(iter(job.data.train.batches(count, view)))
        tensors = {"images": images.contiguous(), "labels": labels.contiguous()}
        files.write_bytes(folder / "calibration.safetensors", safetensors.torch.save(tensors))
        return Calibration(file="calibration.safetensors")

    inputs = {"data": job.images, "images": count}
    stored, folder, _ = job.run.stage("calibration", inputs, Calibration, build)
    return folder / stored.file
