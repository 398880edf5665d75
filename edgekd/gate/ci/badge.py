"""A badge: the JSON that shields.io reads from an endpoint (https://shields.io/badges/endpoint-badge)."""

import json
import re
from collections.abc import Sequence
from typing import Final

from edgekd.errors import WORST_FIRST
from edgekd.gate.ci._findings import UNDECIDED, figure, on, plain
from edgekd.gate.judge import Judged, Outcome, exit_code
from edgekd.measuring.disturbance import spoiled
from edgekd.measuring.statistics import percentile, samples_ms
from edgekd.values import LimitVerdict, Measurement, Verdict

HELP = "Write the JSON of a shields.io badge."
OPTION: Final = "file"

_COLOURS = {
    "pass": "brightgreen",
    "fail": "red",
    "inconclusive": "yellow",
    "not measured": "lightgrey",
    "invalid": "orange",
}


def text(outcomes: Sequence[Outcome], *, tolerate: bool) -> str:
    """The badge's JSON: the budget, the status, and the figure that decided it; of several devices the worst one's."""
    decided = min(outcomes, key=lambda outcome: WORST_FIRST.index(exit_code(outcome)))
    budget = next((plain(one.verdict.budget) for one in outcomes if isinstance(one, Judged)), "")
    status, figures = "not measured", []
    if isinstance(decided, Judged):
        status, figures = decided.verdict.status, _figures(decided.verdict, decided.measurement)
    message = " · ".join([status, *figures]) + on(decided.device)
    label = f"edgekd {budget}".rstrip()
    return json.dumps({"schemaVersion": 1, "label": label, "message": message, "color": _COLOURS[status]})


def _figures(verdict: Verdict, measurement: Measurement) -> list[str]:
    if verdict.status == "pass":
        latencies = [limit for limit in verdict.limits if limit.name.startswith("latency.")]
        return [_passed(limit) for limit in latencies if limit.observed is not None][:1] or _median(measurement)
    if verdict.status == "invalid":
        return []
    decided = (limit for limit in verdict.limits if limit.status == verdict.status)
    return [_compared(limit) for limit in decided if limit.observed is not None][:1]


def _passed(limit: LimitVerdict) -> str:
    found = figure(limit.observed or 0, limit.unit)
    return f"{found} × baseline" if limit.paired else f"{_what(limit)} {found}"


def _median(measurement: Measurement) -> list[str]:
    if not measurement.on_target or spoiled(measurement):
        return []
    samples = samples_ms(measurement)
    return [figure(percentile(samples, 50), "ms")] if samples else []


def _compared(limit: LimitVerdict) -> str:
    """Such as "p99 15.2 > 15 ms"."""
    observed = limit.observed or 0
    sign = ">" if observed > limit.limit else "<" if observed < limit.limit else "="
    joined = "for a limit of" if limit.status in UNDECIDED else sign
    return f"{_what(limit)} {figure(observed, '')} {joined} {figure(limit.limit, limit.unit)}"


def _what(limit: LimitVerdict) -> str:
    """The percentile, which stands at the head of the evidence, or the limit's name in words."""
    stated = re.match(r"p[\d.]+(?= )", limit.evidence)
    return stated[0] if stated else plain(limit.name.split(".")[0].replace("_", " "))
