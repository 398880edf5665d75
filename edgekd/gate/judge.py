"""Judges a budget on a measurement, limit by limit. Pure: the same values give the same verdict."""

from edgekd.errors import EdgekdError, ExitCode
from edgekd.gate import limits
from edgekd.schema import Budget, LimitVerdict, Measurement, Status, Verdict

_WORST_FIRST: tuple[Status, ...] = ("invalid", "fail", "inconclusive", "not measured", "pass")

_EXIT_CODES: dict[Status, ExitCode] = {
    "pass": ExitCode.PASS,
    "fail": ExitCode.OVER_BUDGET,
    "inconclusive": ExitCode.INCONCLUSIVE,
    "not measured": ExitCode.INCONCLUSIVE,
    "invalid": ExitCode.INVALID,
}


def judge(budget: Budget, measurement: Measurement, baseline: Measurement | None = None) -> Verdict:
    """The verdict on a measurement: the worst of its limits' (a budget without limits is passed).

    Args:
        budget: the limits.
        measurement: what they are judged on.
        baseline: the measurement that relative limits refer to, of the same session.

    Raises:
        EdgekdError: a limit is relative and there is no baseline.
        MeasurementError: a limit is relative and the two measurements don't compare.
    """
    require_baseline(budget, given=baseline is not None)
    judged = _latency(budget, measurement, baseline) + _one_off(budget, measurement)
    judged += _files(budget, measurement) + _accuracy(budget, measurement, baseline)
    found = {limit.status for limit in judged} | ({"invalid"} if measurement.invalid else set())
    return Verdict(
        status=next((status for status in _WORST_FIRST if status in found), "pass"),
        budget=budget.name,
        artifact=measurement.artifact.name,
        limits=tuple(judged),
        reasons=measurement.invalid,
    )


def latency_status(budget: Budget, measurement: Measurement, baseline: Measurement | None = None) -> Status:
    """The verdict on the latency alone."""
    return judge(Budget(name=budget.name, latency=budget.latency), measurement, baseline).status


def require_baseline(budget: Budget, *, given: bool) -> None:
    """Raises EdgekdError if a limit is relative to a baseline and none is given."""
    relative = [
        name
        for name, limit in (
            ("latency.max_ratio", budget.latency and budget.latency.max_ratio),
            ("accuracy.max_drop_pp", budget.accuracy and budget.accuracy.max_drop_pp),
        )
        if limit is not None
    ]
    if relative and not given:
        raise EdgekdError(
            f"budget {budget.name}: {relative[0]} is relative to a baseline, and none was given",
            "Give the original model, or its measurement of the same session, with --baseline.",
        )


def exit_code(verdict: Verdict) -> ExitCode:
    """The exit code that a verdict ends in."""
    return _EXIT_CODES[verdict.status]


def _latency(budget: Budget, measurement: Measurement, baseline: Measurement | None) -> list[LimitVerdict]:
    limit, judged = budget.latency, []
    if limit and limit.limit_ms is not None:
        judged.append(limits.latency(measurement, limit.percentile, limit.limit_ms))
    if limit and limit.max_ratio is not None and baseline:
        judged.append(limits.latency_ratio(measurement, baseline, limit.max_ratio))
    return judged


def _one_off(budget: Budget, measurement: Measurement) -> list[LimitVerdict]:
    judged = []
    if budget.load:
        times = [launch.load_ms for launch in measurement.launches]
        judged.append(limits.one_off(measurement, "load.limit_ms", "load", times, budget.load.limit_ms))
    if budget.first_inference:
        times = [launch.first_ms for launch in measurement.launches]
        name, limit = "first_inference.limit_ms", budget.first_inference.limit_ms
        judged.append(limits.one_off(measurement, name, "first inference", times, limit))
    return judged


def _files(budget: Budget, measurement: Measurement) -> list[LimitVerdict]:
    size, artifact, judged = budget.size, measurement.artifact, []
    if size and size.disk_bytes is not None:
        judged.append(limits.size("size.disk_bytes", "file", artifact.disk_bytes, size.disk_bytes))
    if size and size.transfer_bytes is not None:
        name = "size.transfer_bytes"
        judged.append(limits.size(name, "gzipped file", artifact.transfer_bytes, size.transfer_bytes))
    if budget.memory:
        judged.append(limits.memory(measurement, budget.memory.peak_bytes))
    return judged


def _accuracy(budget: Budget, measurement: Measurement, baseline: Measurement | None) -> list[LimitVerdict]:
    limit, judged = budget.accuracy, []
    if limit and limit.min_top1 is not None:
        judged.append(limits.accuracy(measurement.accuracy, limit.min_top1))
    if limit and limit.max_drop_pp is not None and baseline:
        judged.append(limits.accuracy_drop(measurement.accuracy, baseline.accuracy, limit.max_drop_pp))
    return judged
