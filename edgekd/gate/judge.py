"""Judges a budget on a measurement, limit by limit. Pure: the same values give the same verdict."""

from dataclasses import dataclass, field

from edgekd.errors import ExitCode
from edgekd.gate.budget import Budget, require_baseline
from edgekd.gate.conditions import require_conditions
from edgekd.gate.control import controlled
from edgekd.gate.limits._base import Given
from edgekd.gate.status import worst
from edgekd.measuring.statistics import confidence_of
from edgekd.values import Failure, Measurement, Status, Verdict

_EXIT_CODES: dict[Status, ExitCode] = {
    "pass": ExitCode.PASS,
    "fail": ExitCode.OVER_BUDGET,
    "inconclusive": ExitCode.INCONCLUSIVE,
    "not measured": ExitCode.INCONCLUSIVE,
    "invalid": ExitCode.INVALID,
}


@dataclass(frozen=True)
class Judged:
    """A verdict with the measurements that it was reached on."""

    verdict: Verdict
    measurement: Measurement
    baseline: Measurement | None = None
    device: str = field(default="", kw_only=True)
    """What the device is called, where there are several."""


@dataclass(frozen=True)
class Unjudged:
    """One of several devices that gave no verdict."""

    device: str
    failure: Failure


Outcome = Judged | Unjudged


def judge(
    budget: Budget, measurement: Measurement, baseline: Measurement | None = None, *, confidence: float = 0.95
) -> Verdict:
    """The verdict on a measurement: the worst of its limits' (a budget without limits is passed).

    Args:
        budget: the limits.
        measurement: what they are judged on.
        baseline: the measurement that relative limits refer to, of the same session.
        confidence: of each bound. A percentile's are one-sided, a ratio's two together.

    Raises:
        EdgekdError: a limit is relative and there is no baseline.
        MeasurementError: the measurement wasn't made under the budget's conditions, or a limit is relative and the
            two measurements don't compare.
    """
    require_conditions(budget, measurement)
    require_baseline(budget, given=baseline is not None)
    given = Given(measurement, baseline, confidence)
    judged = tuple(found for limit in budget.limits() for found in limit.kind.judge(limit.settings, given))
    return Verdict(
        status=worst("invalid" if measurement.invalid else "pass", *(limit.status for limit in judged)),
        budget=budget.name,
        artifact=measurement.artifact.name,
        limits=judged,
        reasons=measurement.invalid,
        confidence=confidence,
    )


def judge_at_look(budget: Budget, measurement: Measurement, baseline: Measurement | None = None) -> Judged:
    """The verdict on samples, where they were measured for one: by the confidence of the look that they have come to,
    since samples that grow until a limit is met favour a pass, and only as far as the baseline's control supports it.
    Raises as `judge`.
    """
    known = (measurement, baseline) if baseline else (measurement,)
    if measurement.looks is None:
        return Judged(judge(budget, *known), *known)
    verdict = judge(budget, *known, confidence=confidence_of(measurement.looks))
    if baseline and baseline.control:
        verdict = controlled(verdict, baseline)
    return Judged(verdict.model_copy(update={"looks": measurement.looks}), *known)


def latency_status(budget: Budget, measurement: Measurement, baseline: Measurement | None = None) -> Status:
    """The verdict on what guides the search alone: the latency."""
    return judge(budget.only(lambda needs: needs.guides_search), measurement, baseline).status


def exit_code(outcome: Verdict | Outcome) -> ExitCode:
    """The exit code of a verdict, or of what came in its place."""
    if isinstance(outcome, Unjudged):
        return ExitCode(outcome.failure.exit_code)
    verdict = outcome.verdict if isinstance(outcome, Judged) else outcome
    return _EXIT_CODES[verdict.status]
