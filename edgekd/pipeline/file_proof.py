"""Proof: each variant's outputs beside those of the given file, by the runtime that will run it, or a stand-in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from edgekd import catalog
from edgekd.data.feeds.feeds import Feeds
from edgekd.deploy.check import Tolerance, are_logits, compare, failure
from edgekd.deploy.literal import literal_outputs
from edgekd.deploy.outputs import Runner
from edgekd.deploy.writers._base import WRITERS
from edgekd.devices._base import Device
from edgekd.devices.device import or_this_machine
from edgekd.errors import UnsupportedModelError
from edgekd.run import Workspace
from edgekd.values import Accuracy, Artifact, Value, Variant
from edgekd.values.deployment import Parity

Place = Literal["device", "here", "literal", "nowhere"]
"""What runs an artifact: the device, this machine, ONNX Runtime here in place of a runtime that is at neither, or
nothing, where such a file is in that runtime's own format.
"""

_MOST_BYTES = 1 << 28
"""Of outputs that are kept to compare with."""
_STAND_IN_IMAGES = 64
_HARDLY = 0.05
"""Fraction of the range from chance level to perfect accuracy; below, it is as good as guessing."""
LEAST_SQNR_DB = 20.0
"""Of outputs that aren't classes, whose loss of accuracy nothing bounds: an error of a tenth of the signal."""


@dataclass(frozen=True)
class Proving:
    """The inputs of the stage that proves artifacts."""

    given: Artifact
    artifacts: tuple[Artifact, ...]
    places: tuple[Place, ...]
    """Of each."""
    images: Feeds
    """Held out of the calibration."""
    name: str
    """What reports call them."""
    outputs: int
    """How many the file has."""
    device: Device | None
    made_with: dict[str, str | None]


class Proof(Value):
    """How far an artifact's outputs are from the given file's; nothing where nothing runs it."""

    parity: Parity | None = None
    accuracy: Accuracy | None = None
    """None where labels aren't known."""
    failed: str | None = None
    """Why the proof failed."""


class Proofs(Value):
    """The given file's accuracy, and the artifacts' proofs in their order."""

    given: Accuracy | None
    doubt: str | None = None
    """Why the labels aren't used, though they are known."""
    classes: int | None
    """How many logits it gives; None where its outputs aren't classes."""
    proofs: tuple[Proof, ...]


def proof_stage(inputs: Proving, at: Workspace) -> Proofs:
    """Run the given file and all artifacts over the same images.

    Raises:
        UnsupportedModelError: the given file can't be run, or gives NaN or infinity.
    """
    at.progress.advance(0, len(inputs.artifacts) + 1, f"running {inputs.given.path.name}")
    with or_this_machine(None, at.progress.note) as here:
        reference, images = _reference(inputs, here)
        accuracy = _accuracy(inputs, reference, images)
        doubt = _doubt(accuracy, reference[0].shape[1]) if accuracy else None
        if doubt:
            images, accuracy = replace(images, labels=None), None
        proofs = []
        for done, artifact in enumerate(inputs.artifacts, 1):
            at.progress.advance(done, len(inputs.artifacts) + 1, f"checking {artifact.name}")
            proofs.append(_proof(inputs, done - 1, reference, images, here))
    classes = reference[0].shape[1] if _classify(reference) else None
    return Proofs(given=accuracy, doubt=doubt, classes=classes, proofs=tuple(proofs))


def _reference(inputs: Proving, here: Device) -> tuple[list[Any], Feeds]:
    """The given file's outputs, and the images that they are of: fewer where outputs are large."""
    fp32 = Variant(runtime="onnxruntime", precision="fp32")
    given = inputs.given.model_copy(update={"variant": fp32})
    one = _all_outputs(here, given, inputs.images.first(1), inputs.outputs)
    images = inputs.images.first(max(1, _MOST_BYTES // max(1, sum(each.nbytes for each in one))))
    found = _all_outputs(here, given, images, inputs.outputs)
    for number, each in enumerate(found):
        if not np.isfinite(each).all():
            what = f"{inputs.given.path}: its output {number} is NaN or infinity on images of {inputs.name}"
            raise UnsupportedModelError(what, "Check how images are normalised, and the model's weights.")
    return found, images


def _proof(inputs: Proving, number: int, reference: Sequence[Any], images: Feeds, here: Device) -> Proof:
    artifact, place = inputs.artifacts[number], inputs.places[number]
    if place == "nowhere":
        return Proof()
    try:
        if place == "literal":
            some = images.first(_STAND_IN_IMAGES)
            found = literal_outputs(artifact.path, some.batches())
        else:
            some = images
            device = inputs.device if place == "device" and inputs.device else here
            found = _all_outputs(device, artifact, images, inputs.outputs)
        parities = [compare(ours[: len(some)], theirs) for ours, theirs in zip(reference, found, strict=True)]
    except UnsupportedModelError as e:
        return Proof(failed=e.message)
    parity = worst(parities)
    if why := failure(parity, _tolerance(artifact, parity)):
        return Proof(parity=parity, failed=why.replace("the network", "the given file"))
    return Proof(parity=parity, accuracy=None if place == "literal" else _accuracy(inputs, found, images))


def _tolerance(artifact: Artifact, parity: Parity) -> Tolerance:
    stated = catalog.load(WRITERS, artifact.runtime).precisions[artifact.precision].tolerance
    if parity.top1_agreement is not None:
        return stated
    return stated.model_copy(update={"sqnr_db": max(stated.sqnr_db, LEAST_SQNR_DB)})


def worst(parities: Iterable[Parity]) -> Parity:
    """The parity of the output that differs most; the agreement is of the first."""
    found = list(parities)
    least = min(found, key=lambda parity: parity.sqnr_db)
    agreement = found[0].top1_agreement if len(found) == 1 else None
    return least.model_copy(update={"top1_agreement": agreement})


def _all_outputs(device: Device, artifact: Artifact, images: Feeds, outputs: int) -> list[Any]:
    return [np.concatenate([*Runner(device, artifact, output=n).each(images.batches())]) for n in range(outputs)]


def _classify(outputs: Sequence[Any]) -> bool:
    return len(outputs) == 1 and are_logits(outputs[0])


def _doubt(accuracy: Accuracy, classes: int) -> str | None:
    """That the given file is hardly better than guessing on the labels: they may be those of other outputs."""
    guessing = 1 / classes
    if accuracy.top1 - guessing >= _HARDLY * (1 - guessing):
        return None
    return (
        f"labels aren't used: the given file gets {accuracy.correct} of {accuracy.images} right, hardly better than "
        "guessing; its outputs may be in another order, or its images be prepared otherwise"
    )


def _accuracy(inputs: Proving, outputs: Sequence[Any], images: Feeds) -> Accuracy | None:
    labels = images.labels
    if labels is None or not _classify(outputs):
        return None
    correct = int((outputs[0].argmax(1) == labels).sum())
    return Accuracy(correct=correct, images=len(labels), dataset=inputs.name, split="held out")
