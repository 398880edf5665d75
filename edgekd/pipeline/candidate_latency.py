"""What a candidate's latency says: whether it fits, and whether a student would have the file."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgekd.gate.budget import Budget
from edgekd.gate.judge import judge
from edgekd.gate.status import worst
from edgekd.measuring.relative import relative
from edgekd.measuring.statistics import median_ms, ratio
from edgekd.pipeline.partial import clearly_faster, measured_layers
from edgekd.values import LimitVerdict, Measurement, VariantLatency, Verdict


def would_be_kept(measurement: Measurement, all_of_them: Sequence[Measurement]) -> bool:
    """False for one with some layers in integers where another of its runtime is as fast: the student's would be left
    out, so that no plan may count on it.
    """
    variant = measurement.artifact.variant
    if variant not in measured_layers([variant]):
        return True
    others = [other for other in all_of_them if other.artifact.variant.runtime == variant.runtime]
    rivals = [other for other in others if not measured_layers([other.artifact.variant])]
    return clearly_faster([relative(measurement, rival, all_of_them[0]) for rival in rivals])


@dataclass(frozen=True)
class Judging:
    """How the latency of a candidate is judged."""

    budget: Budget
    margin: float
    by_estimate: bool
    """Whether a percentile with too few samples for a bound counts by its estimate: a high one would leave every
    candidate open. The verdict is measured in full.
    """

    def latency(self, measurement: Measurement, baseline: Measurement, *, usable: bool) -> VariantLatency:
        """One of one variant; if it isn't usable, it doesn't fit."""
        return VariantLatency(
            variant=measurement.artifact.variant.name,
            median_ms=median_ms(measurement),
            ratio=ratio(measurement, baseline),
            fits=self._fits(measurement, baseline) if usable else False,
            of_limit=self._of_limit(measurement, baseline),
        )

    def _of_limit(self, measurement: Measurement, baseline: Measurement) -> float | None:
        """The latency divided by the one that is allowed less the margin, of the limit that is nearest."""
        limits = self._guided(measurement, baseline).limits
        found = ((one.observed, one.limit * (1 - self.margin)) for one in limits)
        return max((observed / allowed for observed, allowed in found if observed is not None), default=None)

    def _fits(self, measurement: Measurement, baseline: Measurement) -> bool | None:
        """Whether the latency passes and, the accuracy aside, all is within the limits less the margin; None if the
        measurement leaves the latency open.

        Training a student that then turns out too slow costs far more than one step of the staircase more, so a latency
        that is still open isn't taken for one that fits.
        """
        latency, budget = self._guided(measurement, baseline), self.budget
        others = judge(budget.only(lambda needs: not (needs.guides_search or needs.trained)), measurement, baseline)
        allowed = [*((limit, 1 - self.margin) for limit in latency.limits), *((limit, 1.0) for limit in others.limits)]
        # what the device doesn't report, no candidate can miss
        if any(limit.observed is not None and limit.observed > limit.limit * part for limit, part in allowed):
            return False
        left = [limit for limit in latency.limits if not (self.by_estimate and _has_no_bound(limit))]
        status = worst(*(limit.status for limit in left))
        return None if status == "inconclusive" else status == "pass"

    def _guided(self, measurement: Measurement, baseline: Measurement) -> Verdict:
        return judge(self.budget.only(lambda needs: needs.guides_search), measurement, baseline)


def _has_no_bound(limit: LimitVerdict) -> bool:
    return limit.status == "inconclusive" and limit.observed is not None and limit.high is None
