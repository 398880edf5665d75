"""A kind of device."""

from typing import Literal

from edgekd.values.value import Name, PositiveInt, Reference, Value


class ReferenceVariant(Value):
    """How the original network is deployed as what drops and ratios refer to."""

    precision: str = "fp32"


class Target(Value):
    """A kind of device: one TOML file in targets/."""

    name: Name
    title: str
    family: str | None = None
    family_default: bool = False
    arch: str
    os: str = "linux"
    marker: str | None = None
    """A path that exists on such devices only; a machine without it isn't one."""
    runtimes: tuple[str, ...]
    precisions: tuple[str, ...]
    reference: ReferenceVariant = ReferenceVariant()
    channel_block: PositiveInt = 8
    """Channels that the runtime's kernels process together; pruned widths are multiples of it."""
    threads: PositiveInt = 1
    compute_capability: str | None = None
    max_opset: dict[str, int] = {}
    dla: int = 0
    default_budget: str = "half-latency"
    references: tuple[Reference, ...] = ()


class Targets(Value):
    """What `edgekd targets --json` prints."""

    schema_version: Literal["edgekd.targets/1"] = "edgekd.targets/1"
    targets: tuple[Target, ...]
