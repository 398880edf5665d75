"""What a study is.

A study is a module in `edgekd/studies/`; its file name is its name. It says which networks are compared; how they are
trained, measured and judged is the same for all (`edgekd.studies.run`). It imports no torch.
"""

from collections.abc import Mapping
from typing import Any, Literal, Protocol, Self

from edgekd.catalog import Kind
from edgekd.values import MeasuringProtocol, PositiveInt, Value
from edgekd.values.value import Positive


class Published(Value):
    """A number that the paper's abstract gives."""

    what: str
    value: str
    data: str = "unknown"
    epochs: str = "unknown"


class Scale(Value):
    """How much is trained."""

    name: Literal["smoke", "small", "paper"]
    data: str
    """The data set where none is given."""
    train_per_class: PositiveInt | None = None
    """Training images of each class; None means all."""
    val_per_class: PositiveInt | None = None
    train_images: PositiveInt
    """How many that is in `data`: for the estimate of the time alone."""
    epochs: PositiveInt
    """Of every arm, in all of its steps together."""
    teacher_epochs: PositiveInt
    batch_size: PositiveInt = 128
    learning_rate: Positive = 0.05
    """Of inherited weights."""
    learning_rate_from_scratch: Positive = 0.1
    """Of random weights, the teacher's among them."""
    measure: MeasuringProtocol = MeasuringProtocol()


Settings = dict[str, Any]
"""Settings of a recipe by dotted key, as `edgekd.recipe.recipe` takes them."""


class Arm(Value):
    """One way to a student, trained once for each seed."""

    name: str
    factors: dict[str, str]
    """What distinguishes it, in the words of the table's columns."""
    settings: Settings
    """Of its recipe, over those of the scale."""
    control: str | None = None
    """The arm that its gain is against, seed by seed."""
    latency_ratio: Positive | None = None
    """The share of its teacher's latency that it should have: of its choices the nearest is taken; without choices the
    search of its recipe plans for it, which takes a device."""
    as_fast_as: str | None = None
    """The arm whose latency it should have instead: of its choices the nearest is taken."""
    choices: tuple[Settings, ...] = ()
    """Further settings, of which one is taken by bisection, measured untrained; by multiply-accumulates where nothing
    is measured."""
    as_long_as: str | None = None
    """The arm for whose training time it should train, by its epochs."""
    chosen: str = ""
    """How its structure was chosen; nothing where its settings state it."""

    @property
    def is_planned(self) -> bool:
        """Whether a search plans its structure by measuring on a device."""
        return self.latency_ratio is not None and not self.choices

    def choosing(self, choice: Settings, why: str) -> Self:
        """The arm where that choice is made."""
        settings = {**self.settings, **choice}
        return self.model_copy(update={"settings": settings, "choices": (choice,), "chosen": why})


def structural(settings: Settings) -> Settings:
    """Those of an arm's settings that decide its network's structure."""
    alone = ("model", "student")
    return {key: value for key, value in settings.items() if key in alone or key.startswith(("prune.", "search."))}


class Study(Protocol):
    """The members of a study's module."""

    @property
    def TITLE(self) -> str:
        """What it compares, in a line."""

    @property
    def PAPER(self) -> str:
        """The citation."""

    @property
    def PUBLISHED(self) -> tuple[Published, ...]:
        """The paper's own numbers."""

    @property
    def DIFFERS(self) -> tuple[str, ...]:
        """What this study does otherwise, or chose where the paper isn't known."""

    @property
    def REPRESENTATIONS(self) -> bool:
        """Whether the features of the students are compared with the teacher's."""

    @property
    def SCALES(self) -> Mapping[str, Scale]:
        """How much can be trained, by name."""

    @property
    def IMAGES_PER_SECOND(self) -> Mapping[str, float]:
        """How fast its networks train, for the estimate of its time: grey images of 28x28 pixels per second, in batches
        of 128 on two cores of an x86 server. A network that isn't listed is taken to be slow.
        """

    def arms(self, scale: Scale) -> tuple[Arm, ...]:
        """What is compared. A control stands before the arms that refer to it."""


STUDIES = Kind[Study]("studies", "study")


QUICK = MeasuringProtocol(launches=3, seconds=0.4, block_seconds=0.03, warmup_seconds=0.5)

SMOKE = Scale(name="smoke", data="digits", train_images=1257, epochs=6, teacher_epochs=10, batch_size=64, measure=QUICK)
"""The embedded digits, seconds a cell: shows that the study runs, and little of how its arms differ."""

SMALL = Scale(
    name="small",
    data="fashion-mnist",
    train_per_class=500,
    val_per_class=100,
    train_images=5000,
    epochs=10,
    teacher_epochs=20,
    measure=MeasuringProtocol(launches=5, seconds=1.0, block_seconds=0.03, warmup_seconds=1.0),
)
"""A part of Fashion-MNIST, an hour on two cores."""

PAPER = Scale(name="paper", data="cifar100", train_images=45_000, epochs=120, teacher_epochs=200)
"""A whole data set, and epochs of edgekd's choice, as the papers' aren't known: for a GPU. It hasn't been run."""

CE: Mapping[str, Any] = {"ce": 1.0}
"""The labels alone: the control of every distillation."""

KD: Mapping[str, Any] = {"ce": 0.1, "kd": {"weight": 0.9, "temperature": 4.0}}
"""edgekd's default distillation."""

LOSSES: Mapping[str, Mapping[str, Any]] = {"labels": CE, "distilled": KD}

PRUNE: Mapping[str, Any] = {"do": "prune", "repair": False}
"""Pruning alone, as in the papers."""
RESET: Mapping[str, Any] = {"do": "reset"}
DISTIL: Mapping[str, Any] = {"do": "distil"}


def structure_controls(
    structure: str, scale: Scale, settings: Mapping[str, Any], *, within: Mapping[str, str] | None = None
) -> tuple[Arm, ...]:
    """Four arms of one pruned structure: {from scratch, inherited} × {labels, distilled}.

    The gain of a distilled one is against the labels with the same first weights, that of inherited weights with the
    labels against random ones.

    Args:
        structure: its name in the table.
        scale: states the learning rates.
        settings: what prunes it.
        within: further factors, which begin the name.
    """
    found = []
    outer = dict(within or {})
    for weights in ("scratch", "inherited"):
        for learned in ("labels", "distilled"):
            factors = {**outer, "structure": structure, "weights": weights, "learns from": learned}
            found.append(
                Arm(
                    name=_name(factors),
                    factors=factors,
                    settings={**settings, **first_weights(scale, weights), "recover.losses": dict(LOSSES[learned])},
                    control=_control(factors),
                )
            )
    return tuple(found)


def first_weights(scale: Scale, weights: str) -> Settings:
    """The settings of a pruned student's first weights: "scratch" or "inherited"."""
    if weights == "inherited":
        return {"steps": [dict(PRUNE), dict(DISTIL)]}
    rate = scale.learning_rate_from_scratch
    return {"steps": [dict(PRUNE), dict(RESET), dict(DISTIL)], "recover.learning_rate": rate}


def halves(epochs: int) -> tuple[int, int]:
    """The epochs of two stages, the second the longer one; each has one at least."""
    first = max(1, epochs // 2)
    return first, max(1, epochs - first)


def _name(factors: Mapping[str, str]) -> str:
    return ", ".join(factors.values())


def _control(factors: Mapping[str, str]) -> str | None:
    if factors["learns from"] == "distilled":
        return _name({**factors, "learns from": "labels"})
    return _name({**factors, "weights": "scratch"}) if factors["weights"] == "inherited" else None
