"""Networks between disk and memory: an architecture and weights as a module, and a module as files."""

from pathlib import Path

from torch import nn

from edgekd import files
from edgekd.errors import UnsupportedModelError
from edgekd.seeds import seeded
from edgekd.values.file import File
from edgekd.values.network import Architecture, Cost, Network, Origin
from edgekd.zoo import cost
from edgekd.zoo.build import build
from edgekd.zoo.definition import Definition, prune_to
from edgekd.zoo.identity import identity
from edgekd.zoo.weights import load_weights, save_weights

_identities: dict[tuple[str, int, tuple[int, int, int]], str] = {}
"""What each name was found to build in this process at last, for so many classes and images of a shape: to find it out
takes seconds, and networks are loaded often.
"""


def architecture(model: str, *, classes: int, shape: tuple[int, int, int]) -> Architecture:
    """The architecture of that name, for images of this shape (channels, height, width).

    Raises:
        EdgekdError: as `build`.
    """
    channels, height, width = shape
    found = identity(_built(model, classes=classes, shape=shape, seed=0), shape)
    _identities[model, classes, shape] = found
    return Architecture(model=model, classes=classes, channels=channels, height=height, width=width, identity=found)


def untrained(architecture: Architecture, seed: int) -> nn.Module:
    """The network as its factory gives it, its random weights drawn with this seed; in training mode."""
    return _built(architecture.model, classes=architecture.classes, shape=architecture.shape, seed=seed)


def load(network: Network) -> nn.Module:
    """The network as a module, in evaluation mode.

    Raises:
        UnsupportedModelError: the architecture is no longer the one that the weights are of.
        EdgekdError: a file can't be read.
    """
    _require_same(network.architecture)
    module = untrained(network.architecture, 0)
    if network.definition:
        prune_to(module, Definition.read(network.definition.path), network.weights.path)
    else:
        load_weights(module, network.weights.path)
    return module.eval()


def _require_same(known: Architecture) -> None:
    """Refuse an architecture whose name stands for another network by now."""
    if _identities.get((known.model, known.classes, known.shape)) == known.identity:
        return
    now = architecture(known.model, classes=known.classes, shape=known.shape)
    # what is never twice the same, such as layers that are numbered on, is no sign of another network
    if now != known and now == architecture(known.model, classes=known.classes, shape=known.shape):
        what = f"model {known.model!r} builds another network now than the one that these weights are of"
        raise UnsupportedModelError(what, "Run the command again: it looks for the network under the names of today.")


def save(
    module: nn.Module,
    path: Path,
    architecture: Architecture,
    *,
    origin: Origin,
    definition: File | None = None,
    sparse: bool = False,
) -> Network:
    """Write a module's weights to `path`; the network that they make.

    Args:
        module: of that architecture, or rebuilt from that definition.
        path: of the safetensors file.
        architecture: what builds the whole network.
        origin: where the weights come from.
        definition: what it is rebuilt from, where it was pruned; it is copied beside the weights.
        sparse: whether single weights were pruned.

    Raises:
        StorageError: the folder isn't writable or the disk is full.
    """
    save_weights(module, path)
    return Network(
        architecture=architecture,
        definition=_beside(path, definition) if definition else None,
        weights=file_of(path),
        sparse=sparse,
        origin=origin,
        cost=Cost(
            parameters=cost.parameters(module),
            nonzero=cost.nonzero(module),
            macs=cost.macs(module, architecture.shape),
        ),
    )


def file_of(path: Path) -> File:
    """A file with its hash. Raises OSError."""
    return File(path=path, sha256=files.sha256(path))


def _beside(weights: Path, definition: File) -> File:
    """A copy of the definition in the weights' folder, so that a stage's folder holds all of its network."""
    path = weights.with_name(definition.path.name)
    if path != definition.path:
        files.write_bytes(path, definition.path.read_bytes())
    return File(path=path, sha256=definition.sha256)


def _built(model: str, *, classes: int, shape: tuple[int, int, int], seed: int) -> nn.Module:
    channels, height, width = shape
    with seeded(seed):
        return build(model, classes=classes, channels=channels, size=(height, width))
