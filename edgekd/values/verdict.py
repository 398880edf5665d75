"""A budget judged on a measurement."""

from typing import Literal

from edgekd.values.value import Fraction, Interval, PositiveInt, Value

Status = Literal["pass", "fail", "inconclusive", "invalid", "not measured"]


class LimitVerdict(Value):
    """One limit of a budget, judged; `evidence` is the line that says why."""

    name: str
    status: Status
    limit: float
    observed: float | None
    low: float | None = None
    high: float | None = None
    """Confidence bounds of what was observed, where it has any."""
    unit: str
    evidence: str
    paired: bool = False
    """Judged by the ratio to the baseline that took turns with the artifact: the control holds for it."""

    @property
    def is_floor(self) -> bool:
        """Whether it is the least that is allowed, not the most."""
        return self.name.rpartition(".")[2].startswith("min_")


class Verdict(Value):
    """One budget judged on one measurement."""

    schema_version: Literal["edgekd.verdict/1"] = "edgekd.verdict/1"
    status: Status
    budget: str
    artifact: str
    limits: tuple[LimitVerdict, ...]
    reasons: tuple[str, ...] = ()
    confidence: Fraction = 0.95
    """Of each bound. Looked at more than once, each look has a higher one, so that all together keep 95 %."""
    looks: PositiveInt = 1
    control: Interval | None = None
    """The baseline ÷ itself, measured as if it were another model: what it is off 1 is the session's own error."""
