"""What `export` wrote, and how far it was checked."""

from typing import Literal

from edgekd.values.deployment import Artifact, Parity
from edgekd.values.measurement import Accuracy
from edgekd.values.mobile import ForApp
from edgekd.values.preflight import Finding, Parsed
from edgekd.values.result import Dropped
from edgekd.values.value import Name, Value


class Exported(Value):
    """A file, as one of the target's variants."""

    artifact: Artifact
    """Its paths are relative to the folder; a given file keeps its path."""
    manifest: Name | None = None
    """The file beside it that states its preprocessing; None for a given file, whose preprocessing is unknown."""
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

    app: ForApp | None = None
    """The same model as an app takes it; None where it isn't for a phone, or couldn't be made."""

    @property
    def errors(self) -> int:
        """How many of the findings are errors."""
        return sum(finding.severity == "error" for finding in self.findings)


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

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(one.errors for one in self.exported)
