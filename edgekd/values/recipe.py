"""The settings of a compression."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_serializer, model_validator

from edgekd.values.data import Source
from edgekd.values.measurement import MeasuringProtocol
from edgekd.values.network import Structure
from edgekd.values.training import Convolutions
from edgekd.values.value import Fraction, NonNegative, NonNegativeInt, Positive, PositiveInt, Value


class Training(Value):
    """How long and how fast a network learns; `None` means chosen from the data (see `defaults.training_for`)."""

    epochs: PositiveInt | None = None
    batch_size: PositiveInt | None = None
    learning_rate: Positive = 0.1
    momentum: Fraction = 0.9
    weight_decay: NonNegative = 5e-4
    warmup: Fraction = 0.15
    """Fraction of the steps in which the learning rate rises, before it falls as a cosine."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    memory_format: Literal["auto", "contiguous", "channels_last"] = "auto"
    convolutions: Literal["auto"] | Convolutions = "auto"
    """In bf16 on a CPU."""
    threads: PositiveInt | None = None
    """Of the CPU; None means as many as are fastest."""
    compiled: bool | None = None
    """Whether torch.compile makes the network's code; None means where a long training wins by it."""


def _weighted(stated: Any) -> Any:
    """`kd = 0.9` is short for `kd = {weight = 0.9}`."""
    if not isinstance(stated, dict):
        return stated
    return {name: value if isinstance(value, dict) else {"weight": value} for name, value in stated.items()}


Losses = Annotated[dict[str, dict[str, NonNegative]], BeforeValidator(_weighted)]
"""Each loss's `weight` (1 if not stated) in the sum, and its further options, by its name."""


class Recovery(Training):
    """Distillation of the student; by default on inherited weights, 0.1 CE + 0.9 T^2 KL with T = 4."""

    learning_rate: Positive = 0.05
    teacher_precision: Literal["auto", "fp32", "bf16"] = "auto"
    losses: Losses = {"ce": {"weight": 0.1}, "kd": {"weight": 0.9, "temperature": 4.0}}


Option = Annotated[float, Field(strict=True, allow_inf_nan=False)] | str


class Keep(Value):
    """How much of the unpruned network may be left, as fractions."""

    parameters: Fraction | None = None
    """Those that aren't zero."""
    macs: Fraction | None = None
    transfer_bytes: Fraction | None = None
    """Of the weights' file, compressed by zstd."""


Ratio = Annotated[float, Field(ge=0, lt=1, strict=True)]


class SearchSettings(Value):
    """How much is taken out of the network, and how that is found."""

    method: str | None = None
    """A module of `edgekd.search`; None means "fixed" where a ratio or a structure is stated, else "uniform"."""
    options: dict[str, Option] = {}
    """Further settings of the method by their names; unknown ones are refused."""
    ratio: Ratio | None = None
    """How much goes, where nothing is to be found out."""
    structure: Structure | None = None
    """What exactly goes; each run writes it into its recipe."""
    keep: Keep = Keep()
    """Bounds the search without a device."""
    margin: Ratio = 0.06
    """Candidates have to be this fraction below the latency limit, for what the trained weights may change."""


class Pruning(Value):
    """What goes first, and the limits of the process that prunes."""

    criterion: str = "l1"
    """A module of `edgekd.pruning.criteria`."""
    options: dict[str, Option] = {}
    """Further settings of the criterion by their names; unknown ones are refused."""
    timeout_s: Positive = 120
    memory_bytes: PositiveInt = 4_000_000_000


class Step(Value):
    """One step of a compression as a recipe states it: `{do = "distil", epochs = 3}`, and `"distil"` is short for
    `{do = "distil"}`. Which settings a step has says its module in `edgekd.steps`, by which `recipe.recipe` reads it.
    """

    do: str
    settings: dict[str, Any] = {}
    """What else its table states."""

    @model_validator(mode="before")
    @classmethod
    def _from_table(cls, stated: Any) -> Any:
        if isinstance(stated, str):
            return {"do": stated}
        if isinstance(stated, dict) and set(stated) != {"do", "settings"}:
            return {"do": stated.get("do"), "settings": {key: value for key, value in stated.items() if key != "do"}}
        return stated

    @model_serializer
    def _table(self) -> dict[str, Any]:
        return {"do": self.do, **self.settings}


class FurtherTeacher(Value):
    """A teacher beside the original; it is trained like that one where it has no weights."""

    model: str
    weights: str | None = None
    weight: Positive = 1.0
    """Of its logits in the mean; the original's is 1."""
    seed: NonNegativeInt = 0


class Quantisation(Value):
    """Static INT8, calibrated on training images."""

    images: PositiveInt = 512


class Export(Value):
    """What is in the exported files."""

    include_preprocessing: bool = False
    """Whether their graphs normalise: they then take pixels, uint8 (1, H, W, C)."""


_SETTINGS = ("threads", "spinning", "provider", "provider_options")
"""Of ONNX Runtime; they were part of [measure] before they belonged to each artifact's variant."""


def _without_settings(stated: Any) -> Any:
    if isinstance(stated, dict) and (moved := [key for key in _SETTINGS if key in stated]):
        raise ValueError(
            f"{' and '.join(moved)} {'is' if len(moved) == 1 else 'are'} no longer read here: write it into the "
            "settings of the target's [reference] and [[variants]]"
        )
    return stated


class Recipe(Value):
    """Everything that decides what `compress` does; the run writes the one that reproduces it."""

    model: str
    data: Source
    target: str
    budget: str
    weights: str | None = None
    student: str | None = None
    """Another architecture that learns from the model, from random weights; None means what is left of the model."""
    seed: NonNegativeInt = 0
    steps: tuple[Step, ...] = (Step(do="prune"), Step(do="distil"))
    """Each a module of `edgekd.steps`."""
    teacher: Training = Training()
    """How the original is trained where it has no weights."""
    teachers: tuple[FurtherTeacher, ...] = ()
    """Further ones beside the original: the student learns from the weighted mean of all logits."""
    search: SearchSettings = SearchSettings()
    prune: Pruning = Pruning()
    recover: Recovery = Recovery()
    quantize: Quantisation = Quantisation()
    export: Export = Export()
    measure: Annotated[MeasuringProtocol, BeforeValidator(_without_settings)] = MeasuringProtocol(block_seconds=0.03)
