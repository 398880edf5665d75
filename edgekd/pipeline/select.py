"""Select: the fastest artifact that keeps the accuracy; the report says why the others aren't it."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgekd.gate.budget import Budget
from edgekd.gate.judge import judge
from edgekd.gate.limits import accuracy
from edgekd.measuring.statistics import ratio
from edgekd.values import Interval, Measurement
from edgekd.values.result import Choice, Dropped, Ladder, Rung


@dataclass(frozen=True)
class _Option:
    """A rung of the student with what speaks for and against it."""

    name: str
    drop: float
    """Points of validation accuracy lost."""
    allowed: float | None
    """Points that the budget allows."""
    speed: Interval | None
    misses: int
    """Limits other than accuracy that it fails."""

    @property
    def rank(self) -> tuple[bool, int, float, float]:
        """Smaller is better: the accuracy kept, then the limits, then the speed."""
        return self.loses_too_much, self.misses, self.speed.estimate if self.speed else 0.0, self.drop

    @property
    def loses_too_much(self) -> bool:
        return self.allowed is not None and self.drop > self.allowed


def select(budget: Budget, reference: Rung, student: Ladder, measurements: Sequence[Measurement]) -> Choice:
    """Choose among the student's rungs on validation accuracy and on the measurements.

    Args:
        budget: what is to be met; its accuracy limit is read as allowed validation drop.
        reference: what the drop of accuracy refers to.
        student: the rungs to choose from.
        measurements: the reference's first, then one for each of the student's rungs; empty if nothing was measured.
    """
    measured: Sequence[Measurement | None] = measurements[1:] or [None] * len(student.rungs)
    options = [
        _option(budget, reference, rung, m, measurements[0] if m else None)
        for rung, m in zip(student.rungs, measured, strict=True)
    ]
    best, *others = sorted(options, key=lambda option: option.rank)
    dropped = [Dropped(name=other.name, why=_why_not(other, best)) for other in others]
    return Choice(artifact=best.name, why=_why(best), dropped=(*dropped, *student.dropped))


def _option(
    budget: Budget, reference: Rung, rung: Rung, measurement: Measurement | None, baseline: Measurement | None
) -> _Option:
    speed, misses, stated = None, 0, budget.of(accuracy.Settings)
    if measurement and baseline:
        speed = ratio(measurement, baseline)
        limits = judge(budget.only(lambda needs: not needs.trained), measurement, baseline).limits
        misses = sum(limit.status == "fail" for limit in limits)
    return _Option(
        name=rung.artifact.name,
        drop=100 * (reference.val.top1 - rung.val.top1),
        allowed=stated.max_drop_pp if stated else None,
        speed=speed,
        misses=misses,
    )


def _why(best: _Option) -> str:
    speed = f"{best.speed.estimate:.2f} of the baseline's latency" if best.speed else "not measured"
    return f"{speed}, validation accuracy {0 - best.drop:+.2f} points"


def _why_not(other: _Option, best: _Option) -> str:
    if other.loses_too_much and not best.loses_too_much:
        return f"loses {other.drop:.2f} points of validation accuracy, {other.allowed:g} allowed"
    if other.speed is None or best.speed is None:
        more = f"{other.drop - best.drop:.2f}"
        if float(more) == 0:
            return "is as accurate on the validation images, and its latency wasn't measured"
        return f"loses {more} points more of validation accuracy; nothing was measured"
    if other.misses > best.misses:
        return (
            f"misses the budget, at {other.speed.estimate / best.speed.estimate:.2f} times the latency of the one kept"
        )
    return f"brings nothing: {other.speed.estimate / best.speed.estimate:.2f} times the latency of the one kept"
