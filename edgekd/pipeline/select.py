"""Select: the fastest artifact that keeps the accuracy; the report says why the others aren't it."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from edgekd.gate.budget import Budget
from edgekd.gate.judge import judge
from edgekd.gate.limits import accuracy
from edgekd.measuring.statistics import ratio
from edgekd.values import Accuracy, Interval, Measurement
from edgekd.values.result import Checked, Choice, Deployed, Dropped


@dataclass(frozen=True)
class _Option:
    """An artifact of the student with its losses and misses."""

    checked: Checked
    drop: float
    """Points of validation accuracy lost."""
    allowed: float | None
    """Points that the budget allows."""
    speed: Interval | None
    misses: int
    """Limits other than accuracy that it fails."""
    unjudged: int
    """Those that a measurement of it says nothing about, such as an engine's size where none is built."""

    @property
    def rank(self) -> tuple[bool, int, int, float, float]:
        """Smaller is better: the accuracy kept, then the limits, then the speed."""
        return self.loses_too_much, self.misses, self.unjudged, self.speed.estimate if self.speed else 0.0, self.drop

    @property
    def loses_too_much(self) -> bool:
        return self.allowed is not None and self.drop > self.allowed


def select(budget: Budget, reference: Checked, student: Deployed, measurements: Sequence[Measurement]) -> Choice:
    """Choose among the student's artifacts on validation accuracy and on the measurements.

    Args:
        budget: what is to be met; its accuracy limit is read as allowed validation drop.
        reference: what the drop of accuracy refers to.
        student: the artifacts to choose from.
        measurements: the reference's first, then one for each of the student's artifacts; empty if none was made.
    """
    measured: Sequence[Measurement | None] = measurements[1:] or [None] * len(student.artifacts)
    options = [
        _option(budget, reference, checked, m, measurements[0] if m else None)
        for checked, m in zip(student.artifacts, measured, strict=True)
    ]
    best, *others = sorted(options, key=lambda option: option.rank)
    dropped = [Dropped(name=other.checked.artifact.name, why=_why_not(other, best)) for other in others]
    chosen = best.checked.artifact
    return Choice(artifact=chosen.name, variant=chosen.variant, why=_why(best), dropped=(*dropped, *student.dropped))


def keeps_accuracy(budget: Budget, reference: Checked, checked: Checked) -> bool:
    """Whether an artifact of a trained network loses no more validation accuracy than the budget allows."""
    return not _option(budget, reference, checked, None, None).loses_too_much


def _option(
    budget: Budget, reference: Checked, checked: Checked, measurement: Measurement | None, baseline: Measurement | None
) -> _Option:
    speed, misses, unjudged, stated = None, 0, 0, budget.of(accuracy.Settings)
    if measurement and baseline:
        speed = ratio(measurement, baseline)
        limits = judge(budget.only(lambda needs: not needs.trained), measurement, baseline).limits
        misses = sum(limit.status == "fail" for limit in limits)
        unjudged = sum(limit.status == "not measured" for limit in limits)
    return _Option(
        checked=checked,
        drop=_points_lost(reference.accuracy, checked.accuracy),
        allowed=stated.max_drop_pp if stated else None,
        speed=speed,
        misses=misses,
        unjudged=unjudged,
    )


def _points_lost(before: Accuracy, after: Accuracy) -> float:
    # from the counts: of the rounded fractions 0.95 and 0.94, the difference is above one point
    return float(100 * (Fraction(before.correct, before.images) - Fraction(after.correct, after.images)))


def _why(best: _Option) -> str:
    speed = f"{best.speed.estimate:.2f} of the reference's latency" if best.speed else "not measured"
    return f"{speed}, validation accuracy {0 - best.drop:+.2f} points"


def _why_not(other: _Option, best: _Option) -> str:
    if other.loses_too_much and not best.loses_too_much:
        return f"loses {other.drop:.2f} points of validation accuracy, {other.allowed:g} allowed"
    if other.speed is None or best.speed is None:
        more = f"{other.drop - best.drop:.2f}"
        if float(more) == 0:
            return "is as accurate on the validation images, and its latency was not measured"
        return f"loses {more} points more of validation accuracy; nothing was measured"
    times = f"{other.speed.estimate / best.speed.estimate:.2f} times the latency of the one kept"
    if other.misses > best.misses:
        return f"misses the budget, at {times}"
    if other.unjudged > best.unjudged:
        return f"can't be judged by all limits of the budget, at {times}"
    return f"is slower: {times}"
