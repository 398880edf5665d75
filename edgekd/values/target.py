"""A kind of device."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from edgekd.values.deployment import Variant
from edgekd.values.value import Name, PositiveInt, Reference, Value

_REPLACED = ("runtimes", "precisions", "threads")
_INSTEAD = (
    'write a [reference] table and a [[variants]] table for each way to deploy, with runtime = "onnxruntime", '
    'precision = "fp32" and, where it should differ from the runtime\'s defaults, settings = {threads = 2}'
)


class Target(Value):
    """A kind of device: one TOML file in targets/."""

    name: Name
    """What commands and reports call it."""
    title: str
    """One line for people."""
    family: str | None = None
    """A short name that several targets share, such as `jetson`."""
    family_default: bool = False
    """Whether the family's name means this one."""
    arch: str
    """The processor's architecture, such as `x86_64` or `aarch64`."""
    os: str = "linux"
    """`linux` or `android`."""
    marker: str | None = None
    """A path that exists on such devices only; a machine without it isn't one."""
    compatible: tuple[str, ...] = ()
    """Patterns such as "*p3767-000[345]*", of which one fits an identifier in the device tree of such devices."""
    reference: Variant
    """The variant of the original network that drops and ratios refer to."""
    variants: Annotated[tuple[Variant, ...], Field(min_length=1)]
    """In which networks are deployed, the preferred ones first."""
    channel_block: PositiveInt = 8
    """Channels that the runtime's kernels process together; pruned widths are multiples of it."""
    compute_capability: str | None = None
    """Of the GPU, by NVIDIA's number."""
    max_opset: dict[str, int] = {}
    """The highest ONNX opset that each runtime reads."""
    dla: int = 0
    """Number of DLA cores."""
    default_budget: str = "half-latency"
    """The budget of `compress` where none is given."""
    references: tuple[Reference, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _of_today(cls, stated: Any) -> Any:
        if isinstance(stated, dict) and (old := [key for key in _REPLACED if key in stated]):
            raise ValueError(f"{' and '.join(old)} {'is' if len(old) == 1 else 'are'} no longer read: {_INSTEAD}")
        return stated

    @model_validator(mode="after")
    def _each_variant_once(self) -> Self:
        names = [variant.name for variant in self.variants]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"the variant {twice} is listed twice")
        return self

    @property
    def runtimes(self) -> tuple[str, ...]:
        """Those of its variants, the preferred one first."""
        return tuple(dict.fromkeys(variant.runtime for variant in self.variants))

    @property
    def precisions(self) -> tuple[str, ...]:
        """Those of its variants, the preferred one first."""
        return tuple(dict.fromkeys(variant.precision for variant in self.variants))


class Targets(Value):
    """What `edgekd targets --json` prints."""

    schema_version: Literal["edgekd.targets/2"] = "edgekd.targets/2"
    targets: tuple[Target, ...]
