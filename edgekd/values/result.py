"""What the stages of `compress` conclude; each is stored in the run directory."""

from typing import Literal

from edgekd.values import Accuracy, Artifact, Interval, Manifest, Plan, PositiveInt, Recipe, Value, Variant, Verdict
from edgekd.values.classes import ByClass
from edgekd.values.deployment import Coverage, Parity
from edgekd.values.mobile import ForApp
from edgekd.values.network import LayerWidth, Network
from edgekd.values.value import NonNegativeInt


class TriedNormalisation(Value):
    """How many images a network classifies correctly if they are normalised in one way."""

    name: str
    option: str
    """How to ask for it."""
    correct: int
    images: int
    gained: int
    """Images that are right in this way and not in the default one."""
    lost: int
    """The other way round."""

    @property
    def top1(self) -> float:
        """The fraction of correct ones."""
        return self.correct / self.images


class NormalisationTrial(Value):
    """The ways that given weights were tried in, the default first; those that were clearly worse are left out."""

    tried: tuple[TriedNormalisation, ...]


class Doubts(Value):
    """Doubts about a teacher, one sentence each."""

    said: tuple[str, ...]


class Mirrored(Value):
    """What a given teacher says of mirrored validation images, where nobody else says whether training may flip."""

    images: PositiveInt
    correct: NonNegativeInt
    """Of the images as they are."""
    mirrored: NonNegativeInt
    """Of their mirror images."""
    as_well: bool
    """Whether these aren't fewer by more than one standard error of the paired difference."""

    def told(self) -> str:
        """The decision with its numbers."""
        rates = f"{self.mirrored / self.images:.2%} of mirrored validation images, {self.correct / self.images:.2%} of"
        what = "training flips images" if self.as_well else "training doesn't flip images"
        return f"{what}: the teacher gets {rates} the originals right ({self.images:,} images)"


class Checked(Value):
    """An artifact that was proven to be the network, by the runtime that runs it."""

    artifact: Artifact
    exporter: str
    """What wrote the ONNX file that it was made from: "dynamo" or "torchscript"."""
    parity: Parity
    accuracy: Accuracy
    """On the validation images."""
    coverage: Coverage | None = None
    """Of a precision that computes in integers; None where no device reported it."""


class Dropped(Value):
    """Something that was tried and isn't used, with the reason."""

    name: str
    why: str


class Deployed(Value):
    """A network's artifacts that passed their check, and the variants that are missing."""

    artifacts: tuple[Checked, ...]
    """In the order of the target's variants."""
    dropped: tuple[Dropped, ...] = ()
    layers: dict[str, tuple[str, ...]] = {}
    """The layers that compute in integers, by the runtime, where the device's times decided that."""
    raced: dict[str, float] = {}
    """Latencies divided by the reference's in a quick race, by the variant's name."""
    inexact: tuple[Variant, ...] = ()
    """The dropped ones whose outputs are too far from the network's."""

    def of(self, variant: Variant) -> Checked | None:
        """The artifact of a variant, if it passed."""
        return next((checked for checked in self.artifacts if checked.artifact.variant == variant), None)

    @property
    def variants(self) -> frozenset[str]:
        """Those that can be counted on, by name."""
        return frozenset(checked.artifact.variant.name for checked in self.artifacts)


class Recovered(Value):
    """An INT8 variant that lost too much accuracy, and what became of it."""

    name: str
    """The variant's."""
    way: Literal["layers in floats", "training"] = "layers in floats"
    before: Accuracy | None
    """On the validation images; None: its outputs were too far from the network's."""
    after: Accuracy | None
    """None as before."""
    float_layers: tuple[str, ...] = ()
    """Those that stay in floats, by the names of their weights, the ones that INT8 costs most first."""
    epochs: NonNegativeInt = 0
    """Of the training with simulated INT8."""
    kept: bool
    """Whether it loses no more accuracy than the budget allows now, and takes the place of what was there before."""

    def told(self) -> str:
        """What was done, in a sentence."""
        count = len(self.float_layers)
        layers = f"{count} layer{'s' if count != 1 else ''} in floats"
        what = (
            layers
            if self.way == "layers in floats"
            else f"training with simulated INT8 for {self.epochs} epoch{'s' if self.epochs != 1 else ''}"
        )
        before, after = (f"{one.top1:.2%}" if one else "outputs too far off" for one in (self.before, self.after))
        end = "" if self.kept else "; not enough"
        return f"{self.name}: validation accuracy {before}, {after} by {what}{end}"


class Brought(Value):
    """What one step of the recipe brought."""

    step: str
    """Its name, such as "prune"."""
    what: str
    """What was done, in a few words."""
    accuracy: Accuracy
    """After it, on the validation images."""
    kept: bool = True
    """Whether the recipe went on from its result; else it went on from what was there before."""
    note: str = ""
    """What else should be known of it, such as why it wasn't kept."""


class Choice(Value):
    """Which artifact is kept, and why the others aren't."""

    artifact: str
    """Its name."""
    variant: Variant
    why: str
    dropped: tuple[Dropped, ...]


class Tried(Value):
    """A finished artifact as the report shows it."""

    name: str
    artifact: Artifact
    parity: Parity
    coverage: Coverage | None = None
    """Of a precision that computes in integers; None where no device reported it."""
    val: Accuracy
    test: Accuracy
    median_ms: float | None = None
    ratio: Interval | None = None


class Result(Value):
    """What `compress` concludes: the document of `edgekd compress --json`."""

    schema_version: Literal["edgekd.result/2"] = "edgekd.result/2"
    recipe: Recipe
    data_notes: tuple[str, ...] = ()
    """What was found in the data set."""
    mirrored: Mirrored | None = None
    """None where the user or the data set decided on flips."""
    folder: str
    device: str | None
    target_title: str = ""
    """What the target is; like the budget's title, empty where an earlier version wrote this."""
    budget_title: str = ""
    teacher: Network
    trial: NormalisationTrial | None = None
    """Of given weights, where it wasn't said how their images were normalised."""
    doubts: tuple[str, ...] = ()
    """Doubts about the teacher."""
    student: Network
    plan: Plan
    widths: tuple[LayerWidth, ...] = ()
    """The student's layers before and after pruning, in the network's order; empty where it is whole, or an earlier
    version wrote this."""
    reference: str
    """The file that drops and ratios refer to."""
    tried: tuple[Tried, ...]
    """The reference first, then the student's rungs."""
    recovered: tuple[Recovered, ...] = ()
    """INT8 variants that lost too much accuracy at first."""
    brought: tuple[Brought, ...] = ()
    """What each step of the recipe brought, in order."""
    choice: Choice
    classes: ByClass | None = None
    """What the chosen file makes of each class's test images; None where an earlier version read them."""
    manifest: Manifest
    """How to feed the chosen file."""
    app: ForApp | None = None
    """The chosen file as an app takes it, for a phone."""
    verdict: Verdict
    files: dict[str, str]
    seconds: float
    """From the last start until the test set was read: without the verdict's measurement and what earlier starts made.
    """
