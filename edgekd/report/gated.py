"""What is said of a verdict that `check` reached: it first, then what it was reached on."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from edgekd.measuring.disturbance import spoiled
from edgekd.report import measured, verdicts
from edgekd.report.blocks import Section
from edgekd.values import Measurement, Verdict


def sections(verdict: Verdict, measurement: Measurement, baseline: Measurement | None, device: str) -> list[Section]:
    """The parts of a page.

    Args:
        verdict: on the measurement.
        measurement: of the model.
        baseline: of the model that it was compared with.
        device: what the device is called where there are several: it is named in the headings then.
    """
    found = [measurement, *([_named(baseline, measurement)] if baseline else [])]
    each = [verdicts.section(verdict), *_measured(found, verdict)]
    return [replace(one, title=f"{one.title}: {device}") for one in each] if device else each


def _named(baseline: Measurement, beside: Measurement) -> Measurement:
    """The baseline under a name of its own: both files often have the same."""
    artifact = baseline.artifact
    if artifact.name != beside.artifact.name:
        return baseline
    return baseline.model_copy(update={"artifact": artifact.model_copy(update={"name": f"{artifact.name} (baseline)"})})


def _measured(found: Sequence[Measurement], verdict: Verdict) -> Iterator[Section]:
    """Figures only where they are the target's and say something."""
    if all(m.on_target and m.launches and not spoiled(m) for m in found):
        yield Section("Figures", measured.figures(found))
    yield Section("Where and how it was measured", [*measured.where(found), *measured.session(found, verdict)])
    if time := measured.time_of_nodes(found[0], found[1] if len(found) > 1 else None):
        yield time
