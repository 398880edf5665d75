"""Select: the fastest artifact that keeps the accuracy; the report says why the others aren't it."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from edgekd.deploy.writers._base import declared
from edgekd.gate.budget import Budget
from edgekd.gate.judge import judge
from edgekd.gate.limits import accuracy
from edgekd.measuring.relative import relative
from edgekd.measuring.statistics import ratio
from edgekd.values import Accuracy, Interval, Measurement
from edgekd.values.result import Checked, Choice, Deployed, Dropped

_TIED = 1.02
"""Times the latency of the fastest: one that is slower than this isn't kept for its size, however noisy the device."""

_SAME_SIZE = 1.01
"""Times the bytes of the smallest: the names and metadata in a file are no reason to keep another one."""


@dataclass(frozen=True)
class _Option:
    """An artifact of the student with its losses and misses."""

    checked: Checked
    drop: float
    """Points of validation accuracy lost."""
    allowed: float | None
    """Points that the budget allows; None where it limits no accuracy."""
    measurement: Measurement | None
    speed: Interval | None
    """Its latency divided by the reference's."""
    misses: int
    """Limits other than accuracy that it fails."""
    unjudged: int
    """Those that a measurement of it says nothing about, such as an engine's size where none is built."""

    @property
    def standing(self) -> tuple[bool, int, int]:
        """Smaller is better: the accuracy kept, then the limits."""
        return self.loses_too_much, self.misses, self.unjudged

    @property
    def rank(self) -> tuple[bool, int, int, float, float]:
        """Smaller is better: the standing, then the speed."""
        return *self.standing, self.speed.estimate if self.speed else 0.0, self.drop

    @property
    def loses_too_much(self) -> bool:
        return self.allowed is not None and self.drop > self.allowed

    @property
    def bytes(self) -> int:
        return self.checked.artifact.disk_bytes


def select(
    budget: Budget,
    reference: Checked,
    student: Deployed,
    measurements: Sequence[Measurement],
    *,
    of: str = "validation accuracy",
) -> Choice:
    """Choose among the student's artifacts on validation accuracy and on the measurements.

    The fastest is chosen. Of those that are as fast within the noise of the measurement, it is the smallest file, and
    of the smallest the simplest: with the fewest settings, in the precision closest to the network, and by the runtime
    that the reference needs anyway.

    Args:
        budget: what is to be met; its limits of accuracy are read as allowed validation drop.
        reference: what the drop of accuracy refers to.
        student: the artifacts to choose from.
        measurements: the reference's first, then one for each of the student's artifacts; empty if none was made.
        of: what the artifacts' accuracies are of; "": nothing, and only those are given that lose nothing that counts.
    """
    measured: Sequence[Measurement | None] = measurements[1:] or [None] * len(student.artifacts)
    baseline = measurements[0] if measurements else None
    options = [
        _option(budget, reference, checked, m, baseline if m else None)
        for checked, m in zip(student.artifacts, measured, strict=True)
    ]
    contest = _Contest(sorted(options, key=lambda option: option.rank), reference, baseline, of)
    best = contest.best
    dropped = [
        Dropped(name=other.checked.artifact.name, why=contest.why_not(other))
        for other in contest.ranked
        if other is not best
    ]
    chosen = best.checked.artifact
    why = contest.why()
    return Choice(artifact=chosen.name, variant=chosen.variant, why=why, dropped=(*dropped, *student.dropped))


def keeps_accuracy(budget: Budget, reference: Checked, checked: Checked) -> bool:
    """Whether an artifact of a trained network loses no more validation accuracy than the budget allows."""
    return not _option(budget, reference, checked, None, None).loses_too_much


def misses(budget: Budget, measurement: Measurement, baseline: Measurement) -> tuple[int, int]:
    """How many limits other than accuracy a measurement fails, and of how many it says nothing."""
    statuses = [
        limit.status for limit in judge(budget.only(lambda needs: not needs.trained), measurement, baseline).limits
    ]
    return statuses.count("fail"), statuses.count("not measured")


def _option(
    budget: Budget, reference: Checked, checked: Checked, measurement: Measurement | None, baseline: Measurement | None
) -> _Option:
    speed, failed, unjudged, stated = None, 0, 0, budget.of(accuracy.Settings)
    if measurement and baseline:
        speed = ratio(measurement, baseline)
        failed, unjudged = misses(budget, measurement, baseline)
    return _Option(
        checked=checked,
        drop=_points_lost(reference.accuracy, checked.accuracy),
        allowed=_points_allowed(stated, reference.accuracy) if stated else None,
        measurement=measurement,
        speed=speed,
        misses=failed,
        unjudged=unjudged,
    )


def _points_allowed(limits: accuracy.Settings, reference: Accuracy) -> float | None:
    """How many points may be lost on the images of the reference's accuracy: no more than down to the floor, and none
    where the reference is below it.
    """
    above = None
    if limits.min_top1 is not None:
        # the floor as it is written: of the fractions 0.94 and 0.93, the difference is below one point
        above = max(0.0, float(100 * (Fraction(reference.correct, reference.images) - Fraction(str(limits.min_top1)))))
    return min((points for points in (limits.max_drop_pp, above) if points is not None), default=None)


def _points_lost(before: Accuracy, after: Accuracy) -> float:
    # from the counts: of the rounded fractions 0.95 and 0.94, the difference is above one point
    return float(100 * (Fraction(before.correct, before.images) - Fraction(after.correct, after.images)))


def _less_accurate(other: _Option, best: _Option) -> str:
    more = f"{other.drop - best.drop:.2f}"
    if float(more) == 0:
        return "is as accurate on the validation images, and its latency was not measured"
    return f"loses {more} points more of validation accuracy; nothing was measured"


@dataclass(frozen=True)
class _Contest:
    """The options by rank, and which of them is kept."""

    ranked: Sequence[_Option]
    reference: Checked
    baseline: Measurement | None
    of: str

    @property
    def tied(self) -> list[_Option]:
        """The fastest of those with the best standing, and those that are as fast within the noise."""
        fastest = self.ranked[0]
        if fastest.speed is None:
            return [fastest]
        return [option for option in self.ranked if option.standing == fastest.standing and self._ties(option)]

    @property
    def best(self) -> _Option:
        """The one that is kept."""
        smallest = min(option.bytes for option in self.tied)
        return min(self.tied, key=lambda option: (option.bytes > smallest * _SAME_SIZE, *self._complexity(option)))

    def why(self) -> str:
        """Why it is kept."""
        best, fastest = self.best, self.ranked[0]
        speed = f"{best.speed.estimate:.2f} of the reference's latency" if best.speed else "not measured"
        as_fast = "" if best is fastest else f", as fast within noise as {fastest.checked.artifact.name}"
        lost = f", {self.of} {0 - best.drop:+.2f} points" if self.of else ""
        return f"{speed}{as_fast}{lost}"

    def why_not(self, other: _Option) -> str:
        """Why another one isn't."""
        best = self.best
        if other.loses_too_much and not best.loses_too_much:
            return f"loses {other.drop:.2f} points of {self.of}, {other.allowed:.3g} allowed"
        if other.speed is None or best.speed is None:
            return _less_accurate(other, best)
        times = f"{other.speed.estimate / best.speed.estimate:.2f} times the latency of the one kept"
        if other.misses > best.misses:
            return f"misses the budget, at {times}"
        if other.unjudged > best.unjudged:
            return f"can't be judged by all limits of the budget, at {times}"
        if other in self.tied:
            return f"is as fast within noise, at {times}, and {self._less_simple(other)}"
        return f"is slower: {times}"

    def _ties(self, option: _Option) -> bool:
        fastest = self.ranked[0]
        if option is fastest:
            return True
        assert option.measurement
        assert fastest.measurement
        assert self.baseline
        found = relative(option.measurement, fastest.measurement, self.baseline)
        return found.low <= 1 <= found.high and found.estimate <= _TIED

    def _complexity(self, option: _Option) -> tuple[int, float, bool, tuple[bool, int, int, float, float]]:
        """Smaller is simpler; of equally simple ones, the better rank."""
        variant = option.checked.artifact.variant
        precision = declared(variant.runtime, variant.precision)
        exactness = precision.tolerance.sqnr_db if precision else 0.0
        another = variant.runtime != self.reference.artifact.runtime
        return len(variant.settings), -exactness, another, option.rank

    def _less_simple(self, other: _Option) -> str:
        best = self.best
        ours, theirs = best.checked.artifact.variant, other.checked.artifact.variant
        if other.bytes > best.bytes * _SAME_SIZE:
            return f"is larger: {other.bytes:,} bytes instead of {best.bytes:,}"
        mine, its = self._complexity(best), self._complexity(other)
        if its[0] > mine[0]:
            return "has more settings"
        if its[1] > mine[1]:
            return f"computes in {theirs.precision} instead of {ours.precision}"
        return f"needs {theirs.runtime} as well" if its[2] > mine[2] else "is slower by less than the noise"
