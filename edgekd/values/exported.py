"""What `export` wrote, and how far it was checked."""

from typing import Literal

from edgekd.values.deployment import Artifact, Parity
from edgekd.values.measurement import Accuracy
from edgekd.values.mobile import ForApp
from edgekd.values.preflight import Finding, Parsed
from edgekd.values.result import Choice, Dropped
from edgekd.values.value import Interval, Name, PositiveInt, Value


class Exported(Value):
    """A file, as one of the target's variants."""

    artifact: Artifact
    """Its paths are relative to the folder; a given file keeps its path."""
    manifest: Name | None = None
    """The file beside it that states its preprocessing; None for a given file, whose preprocessing is unknown."""
    given: bool = False
    """Whether it is the given file, which the others are compared with."""
    checked_by: str | None = None
    """The device that ran it for the check; None: not checked."""
    not_checked: str | None = None
    """Why it isn't checked."""
    parity: Parity | None = None
    accuracy: Accuracy | None = None
    """On the validation images."""
    findings: tuple[Finding, ...] = ()
    """The errors first."""
    parsed: Parsed | None = None
    """What NVIDIA's parser and compiler said; None where it isn't for TensorRT."""

    median_ms: float | None = None
    """None: not measured."""
    ratio: Interval | None = None
    """Its latency divided by the given file's."""

    app: ForApp | None = None
    """The same model as an app takes it; None where it isn't for a phone, or couldn't be made."""

    @property
    def errors(self) -> int:
        """How many of the findings are errors."""
        return sum(finding.severity == "error" for finding in self.findings)


class Calibrated(Value):
    """What came of a given file and images for its calibration."""

    images: Name
    """What they are."""
    calibrated_on: PositiveInt
    """How many images."""
    compared_on: PositiveInt
    """How many others; the same one where there is one alone."""
    loss: Name
    """What counts as loss, and how much is allowed."""
    notes: tuple[Name, ...] = ()
    """What was changed in the file, how images were prepared, and what isn't known."""
    accuracy: Accuracy | None = None
    """The given file's on those others; None where labels aren't known."""
    shape: tuple[PositiveInt, ...] | None = None
    """Of the input, where the file leaves the size of images open."""
    choice: Choice | None = None
    """Which file is the fastest of those that lose no more, and why the others aren't it; None: nothing was measured,
    or nothing passed its check."""


class Exports(Value):
    """The document of `edgekd export --json`."""

    schema_version: Literal["edgekd.export/1"] = "edgekd.export/1"
    target: str
    device: str | None
    """None: no device of the target's kind was asked."""
    folder: str
    exported: tuple[Exported, ...]
    dropped: tuple[Dropped, ...] = ()
    """The target's variants that weren't written."""
    calibrated: Calibrated | None = None
    """Of a given file with calibration images; None for others."""

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(one.errors for one in self.exported)
