"""Judges a budget on a measurement, limit by limit. Pure: the same values give the same verdict."""

from collections.abc import Iterator

from edgekd.errors import EdgekdError, ExitCode
from edgekd.gate import counts, limits
from edgekd.gate.conditions import require_conditions
from edgekd.gate.evidence import Limit
from edgekd.values import Budget, LimitVerdict, Measurement, Status, Verdict

_WORST_FIRST: tuple[Status, ...] = ("invalid", "fail", "inconclusive", "not measured", "pass")

_EXIT_CODES: dict[Status, ExitCode] = {
    "pass": ExitCode.PASS,
    "fail": ExitCode.OVER_BUDGET,
    "inconclusive": ExitCode.INCONCLUSIVE,
    "not measured": ExitCode.INCONCLUSIVE,
    "invalid": ExitCode.INVALID,
}


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
    judged = [
        *_latency(budget, measurement, baseline, confidence),
        *_one_off(budget, measurement, confidence),
        *_files(budget, measurement),
        *_device(budget, measurement, confidence),
        *_accuracy(budget, measurement, baseline),
    ]
    found = {limit.status for limit in judged} | ({"invalid"} if measurement.invalid else set())
    return Verdict(
        status=next((status for status in _WORST_FIRST if status in found), "pass"),
        budget=budget.name,
        artifact=measurement.artifact.name,
        limits=tuple(judged),
        reasons=measurement.invalid,
        confidence=confidence,
    )


def latency_status(budget: Budget, measurement: Measurement, baseline: Measurement | None = None) -> Status:
    """The verdict on the latency alone."""
    alone = Budget(name=budget.name, conditions=budget.conditions, latency=budget.latency)
    return judge(alone, measurement, baseline).status


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


def require_limits(budget: Budget) -> None:
    """Raises EdgekdError if there is nothing in a budget to judge."""
    others = ("name", "title", "conditions", "references")
    tables = (getattr(budget, name) for name in type(budget).model_fields if name not in others)
    if not any(table.model_dump(exclude_none=True) for table in tables if table):
        raise EdgekdError(f"budget {budget.name!r} has no limits", "Add one, such as [latency] with limit_ms = 10.")


def is_absolute(budget: Budget) -> bool:
    """Whether it limits times or energy themselves, which hold for one given device, rather than their ratio."""
    latency = budget.latency and budget.latency.limit_ms
    return any((latency, budget.load, budget.first_inference, budget.energy))


def exit_code(verdict: Verdict) -> ExitCode:
    """The exit code that a verdict ends in."""
    return _EXIT_CODES[verdict.status]


def _latency(
    budget: Budget, measurement: Measurement, baseline: Measurement | None, confidence: float
) -> Iterator[LimitVerdict]:
    limit = budget.latency
    if limit and limit.limit_ms is not None:
        yield limits.latency(measurement, limit.percentile, limit.limit_ms, confidence=confidence)
    if limit and limit.max_ratio is not None and baseline:
        yield limits.latency_ratio(measurement, baseline, limit.max_ratio, confidence=confidence)


def _one_off(budget: Budget, measurement: Measurement, confidence: float) -> Iterator[LimitVerdict]:
    if budget.load:
        limit = Limit("load.limit_ms", "median load", budget.load.limit_ms, "ms")
        times = [launch.load_ms for launch in measurement.launches]
        yield limits.one_off(limit, measurement, times, confidence=confidence)
    if budget.first_inference:
        limit = Limit("first_inference.limit_ms", "median first inference", budget.first_inference.limit_ms, "ms")
        times = [launch.first_ms for launch in measurement.launches]
        yield limits.one_off(limit, measurement, times, confidence=confidence)


def _files(budget: Budget, measurement: Measurement) -> Iterator[LimitVerdict]:
    size, artifact = budget.size, measurement.artifact
    if size and size.disk_bytes is not None:
        yield counts.size("size.disk_bytes", "file", artifact.disk_bytes, size.disk_bytes)
    if size and size.transfer_bytes is not None:
        yield counts.size("size.transfer_bytes", "gzipped file", artifact.transfer_bytes, size.transfer_bytes)
    if size and size.engine_bytes is not None:
        yield counts.engine(measurement, size.engine_bytes)


def _device(budget: Budget, measurement: Measurement, confidence: float) -> Iterator[LimitVerdict]:
    if budget.memory:
        yield limits.memory(measurement, budget.memory.peak_bytes)
    if budget.fallback:
        yield counts.fallback(measurement, budget.fallback.max_nodes)
    if budget.energy:
        yield limits.energy(measurement, budget.energy.limit_mj, confidence=confidence)


def _accuracy(budget: Budget, measurement: Measurement, baseline: Measurement | None) -> Iterator[LimitVerdict]:
    limit = budget.accuracy
    if limit and limit.min_top1 is not None:
        yield counts.accuracy(measurement.accuracy, limit.min_top1)
    if limit and limit.max_drop_pp is not None and baseline:
        yield counts.accuracy_drop(measurement.accuracy, baseline.accuracy, limit.max_drop_pp)
