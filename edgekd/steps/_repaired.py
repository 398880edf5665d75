"""Repair as a stage: each way is kept only where it lowers the loss on training images that it hasn't seen."""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.data.dataset import Dataset
from edgekd.data.fixed_images import labelled
from edgekd.pruning.repair import refitted
from edgekd.run import Workspace
from edgekd.training.evaluate import Score, evaluate
from edgekd.training.forward import logits
from edgekd.values import PositiveInt, Value
from edgekd.values.defaults import images_at_once
from edgekd.values.network import Network
from edgekd.zoo import networks
from edgekd.zoo.definition import Definition
from edgekd.zoo.recalibration import images_for, norms, recalibrated

FEWEST = 64
"""Training images without which nothing is repaired: fewer determine neither statistics nor weights."""
_IMAGES = 1024
"""That the network is repaired with; twice as many gained 0.005 of cross-entropy more on Fashion-MNIST, a quarter of
them 0.06 less.
"""


@dataclass(frozen=True)
class Repairing:
    """A pruned network, and the one that it was pruned from."""

    network: Network
    original: Network
    data: Dataset


class Attempt(Value):
    """One way of repair, and what it brought."""

    way: Literal["recalibrated", "refitted"]
    before: float | None
    """Cross-entropy on the training images that were held out; None if it isn't finite."""
    after: float | None
    kept: bool
    skipped: tuple[str, ...]
    """Layers that stay as they were, since nothing finite was found."""
    score: Score
    """On the validation images."""


class Repaired(Value):
    """A network after its repair."""

    network: Network
    images: PositiveInt
    """That it was repaired with."""
    held_out: PositiveInt
    """That decided."""
    attempts: tuple[Attempt, ...]


def repair_network(inputs: Repairing, at: Workspace) -> Repaired:
    """Recalibrate the batch norms, then fit the layers to the original's; single weights that were pruned stay zero, so
    that a network with some isn't fitted.
    """
    at.resources.close()  # the repair needs the memory
    network, model, original = inputs.network, networks.load(inputs.network), networks.load(inputs.original)
    fitting, held_out = _images(model, inputs.data)
    ways: dict[Literal["recalibrated", "refitted"], Callable[[nn.Module], tuple[str, ...]]] = {}
    if norms(model):
        ways["recalibrated"] = lambda changed: recalibrated(changed, fitting)
    if not network.sparse:
        kept = _kept(inputs)
        ways["refitted"] = lambda changed: refitted(changed, original, kept, fitting)
    attempts = []
    for way, change in ways.items():
        at.progress.stage("repair", _DOES[way])
        model, attempt = _tried(model, way, change, held_out, inputs.data)
        attempts.append(attempt)
    saved = networks.save(
        model,
        at.folder / "repaired.safetensors",
        network.architecture,
        origin=network.origin,
        definition=network.definition,
        sparse=network.sparse,
    )
    return Repaired(network=saved, images=len(fitting), held_out=len(held_out[0]), attempts=tuple(attempts))


_DOES = {
    "recalibrated": "recalibrating the batch norms of the pruned network",
    "refitted": "fitting the layers of the pruned network to the original's",
}


def _tried(
    model: nn.Module,
    way: Literal["recalibrated", "refitted"],
    change: Callable[[nn.Module], tuple[str, ...]],
    held_out: tuple[Tensor, Tensor],
    data: Dataset,
) -> tuple[nn.Module, Attempt]:
    """The network that is kept, and what the other would be."""
    changed = copy.deepcopy(model)
    skipped = change(changed)
    before, after = (_loss(one, *held_out) for one in (model, changed))
    kept = after is not None and (before is None or after < before)
    score = evaluate(changed, data.val)
    attempt = Attempt(way=way, before=before, after=after, kept=kept, skipped=skipped, score=score)
    return changed if kept else model, attempt


def _images(model: nn.Module, data: Dataset) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Training images for the repair, and others with their labels that are held out."""
    example = torch.from_numpy(labelled(data.train, 1)[0])
    most = min(images_for(model, example, _IMAGES), len(data.train) // 2)
    # where memory bounds the ones that go through the network at once, it needn't bound the others
    others = min(_IMAGES, 8 * images_at_once(data.train.shape, 128), len(data.train) - most)
    images, labels = map(torch.from_numpy, labelled(data.train, most + others))
    return images[:most], (images[most:], labels[most:])


def _kept(inputs: Repairing) -> Mapping[str, tuple[int, ...]]:
    """By layer, the outputs of the original that the network has; the original may be pruned itself."""
    definitions = [
        Definition.read(network.definition.path).kept if network.definition else {}
        for network in (inputs.original, inputs.network)
    ]
    earlier, now = definitions
    return {
        name: tuple(earlier[name].index(channel) for channel in channels) if name in earlier else channels
        for name, channels in now.items()
    }


def _loss(model: nn.Module, images: Tensor, labels: Tensor) -> float | None:
    size = images_at_once(tuple(images.shape), 512)
    with torch.inference_mode():
        outputs = torch.cat([logits(model, part, "fp32") for part in torch.split(images, size)])
        found = float(F.cross_entropy(outputs, labels))
    return found if math.isfinite(found) else None
