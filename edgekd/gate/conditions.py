"""Whether a measurement was made as the budget says that it must be."""

from edgekd.errors import MeasurementError
from edgekd.values import Budget, LatencyLimit, Measurement, Measuring


def require_conditions(budget: Budget, measurement: Measurement) -> None:
    """Refuse to judge a measurement of another device, runtime, protocol or artifact than the budget is for.

    Of a measurement without launches only the target and the artifact are compared: nothing ran.

    Raises:
        MeasurementError: they differ; each difference is listed.
    """
    found = _found(measurement)
    asked = budget.conditions.model_dump(exclude_none=True) if budget.conditions else {}
    unlike = [
        f"{name} is {found[name]!r}, the budget is for {wanted!r}"
        for name, wanted in asked.items()
        if name in found and found[name] != wanted
    ]
    hints = ["Measure as the budget's [conditions] say, or make a budget with `edgekd budgets init`."] if unlike else []
    if budget.latency and measurement.launches and measurement.protocol.cadence_hz != budget.latency.cadence_hz:
        unlike.append(f"the latency was measured {_loop(measurement.protocol)}, not {_loop(budget.latency)}")
        hints.append(_cadence_hint(budget.latency.cadence_hz))
    if unlike:
        message = f"budget {budget.name!r} isn't for this measurement of {measurement.artifact.name!r}"
        raise MeasurementError(f"{message}: {'; '.join(unlike)}", " ".join(hints))


def protocol_for(budget: Budget, settings: Measuring) -> Measuring:
    """The protocol that the budget judges: paced, if its latency is."""
    cadence_hz = budget.latency.cadence_hz if budget.latency else None
    return settings.model_copy(update={"loop": "paced", "cadence_hz": cadence_hz}) if cadence_hz else settings


def _found(measurement: Measurement) -> dict[str, str | int]:
    """What of a measurement each of the conditions speaks of."""
    found: dict[str, str | int] = {"target": measurement.target, "artifact": measurement.artifact.name}
    if measurement.launches:
        environment, protocol = measurement.environment, measurement.protocol
        found |= environment.model_dump(include={"machine", "cpu", "runtime", "runtime_version", "provider"})
        found |= protocol.model_dump(include={"threads", "batch"})
    return found


def _loop(protocol: Measuring | LatencyLimit) -> str:
    return f"paced at {protocol.cadence_hz:g} Hz" if protocol.cadence_hz else "in a closed loop"


def _cadence_hint(wanted_hz: float | None) -> str:
    if wanted_hz:
        return f"Measure with --cadence-hz {wanted_hz:g}: an inference after a pause takes longer."
    return "Measure without --cadence-hz, or add cadence_hz to the budget's [latency]."
