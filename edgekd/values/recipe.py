"""The settings of a compression."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_serializer, model_validator

from edgekd.values.data import Source
from edgekd.values.losses import Losses
from edgekd.values.measurement import MeasuringProtocol
from edgekd.values.network import Structure
from edgekd.values.training import Convolutions
from edgekd.values.value import Fraction, NonNegative, NonNegativeInt, Positive, PositiveInt, Value


class Training(Value):
    """How long and how fast a network learns; `None` means chosen from the data (see `defaults.training_for`)."""

    epochs: PositiveInt | None = None
    """Times that every training image is seen; None means about 600,000 images seen, but 3 to 30 epochs."""
    batch_size: PositiveInt | None = None
    """Images in a step."""
    learning_rate: Positive | None = None
    """The highest; None means 0.1 for the teacher, and for the student the rate of ALLR."""
    momentum: Fraction = 0.9
    """Of SGD with Nesterov's momentum."""
    weight_decay: NonNegative = 5e-4
    """Of convolutions and linear layers; none on normalisations and biases."""
    warmup: Fraction = 0.15
    """Fraction of the steps in which the learning rate rises; afterwards it follows a cosine."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the forward and backward pass; auto: the fastest."""
    memory_format: Literal["auto", "contiguous", "channels_last"] = "auto"
    """Of images and features; auto: the fastest."""
    convolutions: Literal["auto"] | Convolutions = "auto"
    """Only for bf16 on a CPU."""
    threads: PositiveInt | None = None
    """CPU threads; None means the fastest number."""
    compiled: bool | None = None
    """Whether the network is compiled by torch.compile; None means if a long training becomes faster."""


class Recovery(Training):
    """How the student learns: unless stated otherwise by half labels and half teacher, at the rate of ALLR (Zimmer et
    al., arXiv:2111.00843). Where neither is stated, and `race` gives them steps, pilots choose the losses.
    """

    teacher_precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the teacher's forward pass."""
    losses: Losses | None = None
    """Each loss with its weight, or a table of its weight and options."""
    race: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.0
    """The share of the steps that pilots take, such as 0.18; 0 means no race."""


Option = Annotated[int, Field(strict=True)] | Annotated[float, Field(strict=True, allow_inf_nan=False)] | str


class Keep(Value):
    """How much of the unpruned network may be left, as fractions."""

    parameters: Fraction | None = None
    """Parameters that aren't zero."""
    macs: Fraction | None = None
    """Multiply-accumulates of an inference."""
    transfer_bytes: Fraction | None = None
    """Bytes of the weights' file after zstd."""


Ratio = Annotated[float, Field(ge=0, lt=1, strict=True)]


class SearchSettings(Value):
    """How much is pruned, and how that is found."""

    method: str | None = None
    """A module of `edgekd.search`. None means "fixed" if a ratio or a structure is stated; "latency_table" where there
    is a device, the criterion ranks channels, and neither `keep` nor an option of "uniform" is stated; else "uniform".
    """
    options: dict[str, Option] = {}
    """Further settings of the method by their names; unknown ones are refused."""
    ratio: Ratio | None = None
    """How much is pruned, without a search."""
    structure: Structure | None = None
    """The exact structure; each run writes it to its recipe."""
    keep: Keep = Keep()
    """Bounds the search without a device."""
    margin: Ratio = 0.06
    """Candidates must be this fraction below the latency limit, because trained weights may change the latency."""


class Pruning(Value):
    """What is pruned first, and the limits of the pruning process."""

    criterion: str = "l1"
    """A module of `edgekd.pruning.criteria`."""
    options: dict[str, Option] = {}
    """Further settings of the criterion by their names; unknown ones are refused."""
    timeout_s: Positive = 120
    """Seconds that pruning to one structure may take."""
    memory_bytes: PositiveInt = 4_000_000_000
    """Bytes that each process that prunes may allocate. Where structures are searched by their loss there are several,
    as far as memory is free.
    """


class Step(Value):
    """One step of a compression as a recipe states it: `{do = "distil", epochs = 3}`, and `"distil"` is short for
    `{do = "distil"}`. Its settings are defined by its module in `edgekd.steps`.
    """

    do: str
    """The step's name."""
    settings: dict[str, Any] = {}
    """The other keys of its table."""

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
    """A teacher beside the original; without weights it is trained like the original."""

    model: str
    """Its network, as of the recipe."""
    weights: str | None = None
    """The file of its weights."""
    weight: Positive = 1.0
    """The weight of its logits in the mean; the original's is 1."""
    seed: NonNegativeInt = 0
    """Of its training."""


class Quantisation(Value):
    """Static INT8, calibrated on training images."""

    images: PositiveInt = 512
    """Training images that calibrate."""
    recover: bool = True
    """Whether INT8 files that lose too much accuracy are improved: their worst layers stay in floats, or the network is
    trained with simulated INT8."""
    recover_share: Annotated[float, Field(gt=0, le=1, strict=True)] = 0.25
    """Of the epochs of [recover], how many that training takes, at a tenth of its learning rate; one at least."""


class Export(Value):
    """What is in the exported files."""

    include_preprocessing: bool = False
    """Whether their graphs normalise: they then take pixels, uint8 (1, H, W, C)."""


_BLOCK_SECONDS = 0.03
_SETTINGS = ("threads", "spinning", "provider", "provider_options")
"""Of ONNX Runtime; they were part of [measure] before they belonged to each artifact's variant."""


def _measuring(stated: Any) -> Any:
    """What is stated of [measure], with edgekd's turns where none are: many variants take them in one launch."""
    if not isinstance(stated, dict):
        return stated
    if moved := [key for key in _SETTINGS if key in stated]:
        raise ValueError(
            f"{' and '.join(moved)} {'is' if len(moved) == 1 else 'are'} no longer read here: write it into the "
            "settings of the target's [reference] and [[variants]]"
        )
    return {"block_seconds": _BLOCK_SECONDS, **stated}


class Recipe(Value):
    """Everything that decides what `compress` does; the run writes the one that reproduces it."""

    model: str
    """The network, such as `torchvision:resnet18`."""
    data: Source
    target: str
    """The kind of device: a name, or a TOML file."""
    budget: str
    """What the model must meet: a name, or a TOML file."""
    weights: str | None = None
    """The file of the network's weights; without it, it is trained first."""
    student: str | None = None
    """Another architecture that learns from the model, from random weights; None means what is left of the model."""
    seed: NonNegativeInt = 0
    """Of everything that is drawn at random."""
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
    measure: Annotated[MeasuringProtocol, BeforeValidator(_measuring)] = MeasuringProtocol(block_seconds=_BLOCK_SECONDS)
