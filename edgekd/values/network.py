"""Networks on disk: what builds one, what was removed from it, its weights and what it costs."""

from typing import Literal

from edgekd.values.file import File
from edgekd.values.measurement import Accuracy
from edgekd.values.training import TrainingRecord
from edgekd.values.value import Fraction, NonNegativeInt, PositiveInt, Value


class Architecture(Value):
    """What builds a network, for images of one shape and so many classes."""

    model: str
    """Its name, as `zoo.build` takes it."""
    classes: PositiveInt
    channels: PositiveInt
    height: PositiveInt
    width: PositiveInt
    identity: str
    """What the network computes, whatever its weights (`zoo.identity`): its name may stand for another one tomorrow."""

    def key(self) -> str:
        """What decides the result of a stage that builds the network."""
        return self.identity

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of its images."""
        return self.channels, self.height, self.width


class Structure(Value):
    """What is removed from an architecture: the result of a search, before anything is trained."""

    widths: dict[str, PositiveInt] = {}
    """Channels that stay in each group that becomes narrower, by the first layer that makes them, in the order of the
    network's modules. Where a block is left out, what comes in takes its place: the width of the layer before counts.
    """
    removed: tuple[str, ...] = ()
    """Paths of the blocks that are left out; what comes in goes through."""
    zeros: Fraction = 0.0
    """Of the single weights of convolutions and linear layers, how many are zero."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is removed."""
        return self == type(self)()


class LayerWidth(Value):
    """How many output channels a convolution or linear layer had, and has."""

    layer: str
    """Its path in the network."""
    before: PositiveInt
    after: NonNegativeInt
    """0: it went with its block."""


class Cost(Value):
    """What a network needs, whatever runs it."""

    parameters: NonNegativeInt
    nonzero: NonNegativeInt
    """How many of the parameters aren't zero."""
    macs: NonNegativeInt
    """Multiply-accumulates for one image."""


Origin = Literal["given", "random", "pruned", "trained", "distilled"]
"""Where weights come from: a file of the user's, a seed, a larger network, a training on labels, or one that a teacher
took part in.
"""


class Network(Value):
    """A network on disk: an architecture with its structure and its weights."""

    architecture: Architecture
    definition: File | None = None
    """The document from which a pruned network is rebuilt; None: the architecture is whole."""
    weights: File
    sparse: bool = False
    """Whether single weights were pruned: those stay zero in training."""
    cost: Cost
    accuracy: Accuracy | None = None
    """On the validation images; None where it wasn't evaluated."""
    origin: Origin
    training: TrainingRecord | None = None
    """The last one here, if there was any."""
    ranges: dict[str, tuple[float, float]] = {}
    """The activations' ranges that a quantisation-aware training ended with, for the INT8 files: what a layer reads, by
    the name of its weight, or what it gives (`output_of`)."""

    def key(self) -> list[object]:
        """What decides the result of a stage that uses the network: what it computes, with which weights, and how its
        INT8 files round.
        """
        definition = self.definition.key() if self.definition else None
        return [self.architecture.key(), definition, self.weights.key(), self.sparse, self.ranges]

    def called(self, architecture: Architecture) -> "Network":
        """The same network with its architecture under the name of this one. What a stage finds has the name that it
        was made under, which may stand for another network by now, or for none.
        """
        return self.model_copy(update={"architecture": architecture})


def output_of(weight: str) -> str:
    """The name in `Network.ranges` of what a layer gives; `weight` is that of its weight."""
    return f"{weight} output"
