"""The stages of a run that look at a network to prune and prune it, in processes that stay open between them."""

from collections.abc import Sequence
from dataclasses import dataclass

import safetensors.torch

from edgekd import files
from edgekd.data.dataset import Augmentation, Dataset, View
from edgekd.pruning.child.protocol import Judging, Opening
from edgekd.pruning.chosen import criterion_of
from edgekd.pruning.process import PruningProcess
from edgekd.pruning.processes import PruningProcesses
from edgekd.pruning.space import Granularity, Scores, Space
from edgekd.run import Run, Workspace
from edgekd.values import Architecture, File, Pruning, Structure, Value
from edgekd.values.network import Network

_JUDGING_IMAGES = 256
_PROOF_IMAGES = 2
"""The least that is given to any criterion: what is pruned is proven on them."""


class Limits(Value):
    """What the process may take. They decide whether there is a result, never which."""

    timeout_s: float
    memory_bytes: int

    def key(self) -> None:
        """Nothing."""


class Prunable(Value):
    """A network that is to be pruned, and by what."""

    architecture: Architecture
    weights: File | None = None
    """None for random ones."""
    definition: File | None = None
    """What is left of the architecture after an earlier pruning."""
    sparse: bool = False
    """Whether single weights were pruned before."""
    judging: Judging
    images: File
    """Training images, for criteria that judge by them and for the proof."""
    channel_block: int
    limits: Limits


@dataclass(frozen=True)
class _Images:
    data: Dataset
    count: int


class _Stored(Value):
    """Training images in a file."""

    file: File


@dataclass(frozen=True)
class _SpaceOf:
    network: Prunable
    kinds: tuple[Granularity, ...]


@dataclass(frozen=True)
class _ScoresOf:
    network: Prunable
    saved_ms: dict[str, float]


class Losses(Value):
    """What structures make of a network's loss."""

    losses: tuple[float | None, ...]


@dataclass(frozen=True)
class _LossesOf:
    network: Prunable
    structures: tuple[Structure, ...]
    scores: Scores
    images: int


@dataclass(frozen=True)
class _Pruned:
    network: Prunable
    structure: Structure
    model: str
    """The architecture's name, which is written into the definition."""


class Tried(Value):
    """Structures that a network with random weights could be pruned to."""

    structures: tuple[Structure, ...]


@dataclass(frozen=True)
class _Trials:
    network: Prunable
    structures: tuple[Structure, ...]


def prunable(
    run: Run,
    architecture: Architecture,
    data: Dataset,
    settings: Pruning,
    *,
    channel_block: int,
    weights: File | None = None,
    definition: File | None = None,
    sparse: bool = False,
    further_images: int = 0,
) -> Prunable:
    """A network with what it takes to prune it; `further_images` come behind those that it is judged by.

    Raises:
        EdgekdError: there is no such criterion, or it has no such option.
    """
    criterion, options = criterion_of(settings.criterion, settings.options)
    count = _JUDGING_IMAGES if criterion.NEEDS_IMAGES else _PROOF_IMAGES
    return Prunable(
        architecture=architecture,
        weights=weights,
        definition=definition,
        sparse=sparse,
        judging=Judging(criterion=settings.criterion, options=options.model_dump(mode="json")),
        images=run.stage("calibration", _Images(data, count + further_images), _write_images).file,
        channel_block=channel_block,
        limits=Limits(timeout_s=settings.timeout_s, memory_bytes=settings.memory_bytes),
    )


def space(run: Run, network: Prunable, *kinds: Granularity) -> Space:
    """What of these kinds can be removed; raises as `PruningProcess.space`."""
    return run.stage("space", _SpaceOf(network, kinds), _find_space, shared=network.weights is None)


def scores(run: Run, network: Prunable, saved_ms: dict[str, float]) -> Scores:
    """What the network's criterion says of it; raises as `PruningProcess.scores`."""
    return run.stage("scores", _ScoresOf(network, saved_ms), _find_scores)


def losses(
    run: Run,
    network: Prunable,
    structures: Sequence[Structure],
    scores: Scores,
    images: int,
) -> tuple[float | None, ...]:
    """The untrained network's loss with each structure, as `PruningProcess.loss`, and raised as there."""
    return run.stage("losses", _LossesOf(network, tuple(structures), scores, images), _find_losses).losses


def pruned(run: Run, network: Prunable, structure: Structure) -> Network:
    """The network with this structure and the surviving weights; raises as `PruningProcess.prune`."""
    return run.stage("pruned", _Pruned(network, structure, network.architecture.model), _prune)


def tried(run: Run, network: Prunable, structures: tuple[Structure, ...]) -> None:
    """Prune to each of these, for no use but to see that it can be done; raises as `PruningProcess.prune`."""
    run.stage("tried", _Trials(network, structures), _try, shared=True)


def _write_images(asked: _Images, at: Workspace) -> _Stored:
    """Always the same ones, not augmented, with their labels."""
    view = View(Augmentation(pad=0, flip=False), seed=0, epoch=0)  # shuffled: folders are sorted by class
    images, labels = next(iter(asked.data.train.batches(asked.count, view)))
    tensors = {"images": images.contiguous(), "labels": labels.contiguous()}
    path = at.folder / "calibration.safetensors"
    files.write_bytes(path, safetensors.torch.save(tensors))
    return _Stored(file=File(path=path, sha256=files.sha256(path)))


def _find_space(asked: _SpaceOf, at: Workspace) -> Space:
    return _process(asked.network, at).space(asked.kinds)


def _find_scores(asked: _ScoresOf, at: Workspace) -> Scores:
    return _process(asked.network, at).scores(asked.network.judging, saved_ms=asked.saved_ms)


def _find_losses(asked: _LossesOf, at: Workspace) -> Losses:
    processes, _ = _opened(asked.network, at)
    return Losses(losses=processes.losses(asked.structures, asked.scores, asked.images))


def _prune(asked: _Pruned, at: Workspace) -> Network:
    network = asked.network
    found = _process(network, at).prune(asked.structure, network.judging, at.folder)
    return Network(
        architecture=network.architecture,
        definition=File(path=found.definition, sha256=files.sha256(found.definition)),
        weights=File(path=found.weights, sha256=files.sha256(found.weights)),
        sparse=network.sparse or asked.structure.zeros > 0,
        cost=found.cost,
        origin="pruned",
    )


def _try(asked: _Trials, at: Workspace) -> Tried:
    for structure in asked.structures:
        found = _process(asked.network, at).prune(structure, asked.network.judging, at.folder)
        found.weights.unlink()
        found.definition.unlink()
    return Tried(structures=asked.structures)


def _process(network: Prunable, at: Workspace) -> PruningProcess:
    return _opened(network, at)[1]


def _opened(network: Prunable, at: Workspace) -> tuple[PruningProcesses, PruningProcess]:
    """The processes, and the one of them in which the network is open."""
    shape = network.architecture
    opening = Opening(
        model=shape.model,
        classes=shape.classes,
        channels=shape.channels,
        height=shape.height,
        width=shape.width,
        weights=network.weights.path.absolute() if network.weights else None,
        definition=network.definition.path.absolute() if network.definition else None,
        images=network.images.path.absolute(),
        channel_block=network.channel_block,
        memory_bytes=network.limits.memory_bytes,
    )
    memory_bytes = opening.memory_bytes
    processes = at.resources.get(("pruning", memory_bytes), lambda: PruningProcesses(memory_bytes))
    return processes, processes.open(opening, timeout_s=network.limits.timeout_s)
