"""Whether a measurement was made as the budget says that it must be."""

from collections.abc import Mapping

from edgekd.errors import EdgekdError, MeasurementError
from edgekd.gate.budget import Budget, Conditions
from edgekd.gate.limits._base import CLOSED_LOOP_HZ
from edgekd.values import Host, Measurement, MeasuringProtocol


def require_conditions(budget: Budget, measurement: Measurement) -> None:
    """Refuse to judge a measurement of another device, runtime, protocol or artifact than the budget is for.

    Of a measurement without launches only the target and the artifact are compared: nothing ran.

    Raises:
        MeasurementError: they differ; each difference is listed.
    """
    found = _found(measurement)
    # two files of one name, as of two branches, are called by their paths, and of two variants by these as well
    stem = measurement.artifact.path.stem
    asked = {"transfers": _transfers(budget), **(budget.conditions or Conditions()).model_dump(exclude_none=True)}
    unlike = [
        _differs(name, found[name], wanted)
        for name, wanted in asked.items()
        if name in found and found[name] != wanted and not (name == "artifact" and wanted == stem)
    ]
    hints = ["Measure as the budget's [conditions] say, or make a budget with `edgekd budgets init`."] if unlike else []
    measured_hz = measurement.protocol.cadence_hz or CLOSED_LOOP_HZ
    for table, wanted_hz in _cadences(budget) if measurement.launches else ():
        if measured_hz != wanted_hz:
            unlike.append(f"the {table} was measured {_loop(measured_hz)}, not {_loop(wanted_hz)}")
            hints.append(_cadence_hint(table, wanted_hz))
    if unlike:
        message = f"budget {budget.name!r} isn't for this measurement of {measurement.artifact.name!r}"
        raise MeasurementError(f"{message}: {'; '.join(unlike)}", " ".join(hints))


def require_met(budget: Budget, measured: Mapping[str, Mapping[str, object]]) -> None:
    """Raises EdgekdError if what will be measured isn't what the budget is for: before anything is trained.

    Args:
        budget: the limits.
        measured: by what is measured, such as a variant's name, what each condition refers to, as far as it is known.
    """
    asked = (budget.conditions or Conditions()).model_dump(exclude_none=True)
    unlike: dict[str, list[str]] = {}
    for what, found in measured.items():
        for name, wanted in asked.items():
            if name in found and found[name] != wanted:
                unlike.setdefault(_differs(name, found[name], wanted), []).append(what)
    if unlike:
        told = "; ".join(f"{why} ({', '.join(of)})" for why, of in unlike.items())
        hint = "Take these out of the budget's [conditions], or name a --target and a --device that meet them."
        raise EdgekdError(f"budget {budget.name!r} isn't for what is measured here: {told}", hint)


def protocol_for(budget: Budget, protocol: MeasuringProtocol) -> MeasuringProtocol:
    """The protocol that the budget judges: paced if one of its limits is for a cadence, a closed loop if one is for
    that, with its transfers.

    Raises:
        MeasurementError: the protocol leaves transfers out, and the budget is for measurements with them.
    """
    transfers = _transfers(budget)
    if transfers == "included" != protocol.transfers:
        hint = 'Add transfers = "excluded" to its [conditions], or count them.'
        raise MeasurementError(f"budget {budget.name!r} is for measurements with transfers", hint)
    protocol = protocol.model_copy(update={"transfers": transfers})
    wanted = [wanted_hz for _, wanted_hz in _cadences(budget)]
    if paced := [hz for hz in wanted if hz != CLOSED_LOOP_HZ]:
        return protocol.model_copy(update={"loop": "paced", "cadence_hz": paced[0]})
    return protocol.model_copy(update={"loop": "closed", "cadence_hz": None}) if wanted else protocol


def _differs(name: str, found: object, wanted: object) -> str:
    return f"{name} is {'not reported' if found is None else repr(found)}, the budget is for {wanted!r}"


def _transfers(budget: Budget) -> str:
    return (budget.conditions or Conditions()).transfers or "included"


def _cadences(budget: Budget) -> list[tuple[str, float]]:
    """The limits for which the cadence matters, by their tables in words, and the inferences a second they are for."""
    return [
        (limit.table.replace("_", " "), limit.needs.cadence_hz)
        for limit in budget.limits()
        if limit.needs.cadence_hz is not None
    ]


def state_of(host: Host) -> dict[str, object]:
    """The conditions that are settings of a device."""
    return {"governor": host.governor, "power_mode": host.power_mode, "clocks_locked": host.clocks_locked}


def _found(measurement: Measurement) -> dict[str, object]:
    """The value that each condition refers to, in a measurement."""
    found: dict[str, object] = {"target": measurement.target, "artifact": measurement.artifact.name}
    if measurement.launches:
        runtime = measurement.runtime
        host = measurement.host
        found |= {"machine": host.machine, "cpu": host.cpu, **state_of(host)}
        found |= {"runtime": runtime.name, "runtime_version": runtime.version, "provider": runtime.provider}
        found |= {"threads": runtime.settings.get("threads"), "batch": measurement.protocol.batch}
        found |= {"transfers": measurement.protocol.transfers}
    return found


def _loop(cadence_hz: float) -> str:
    return "in a closed loop" if cadence_hz == CLOSED_LOOP_HZ else f"paced at {cadence_hz:g} Hz"


def _cadence_hint(table: str, wanted_hz: float) -> str:
    if wanted_hz == CLOSED_LOOP_HZ:
        return f"Measure without --cadence-hz, or add cadence_hz to the budget's [{table}]."
    return f"Measure with --cadence-hz {wanted_hz:g}: an inference after a pause takes longer."
