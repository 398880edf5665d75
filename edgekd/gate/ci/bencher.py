"""Bencher Metric Format (https://bencher.dev/docs/reference/bencher-metric-format): the artifact's measures."""

import json
from collections.abc import Sequence
from typing import Final

from edgekd.gate.ci._figures import figures
from edgekd.gate.ci._findings import on, plain
from edgekd.gate.judge import Judged, Outcome

HELP = "Write Bencher Metric Format."
OPTION: Final = "file"

_LONGEST_NAME = 1024  # bencher's


def text(outcomes: Sequence[Outcome], *, tolerate: bool) -> str:
    """Times in nanoseconds and sizes in bytes, as in bencher's built-in measures `latency` (here: the median) and
    `file-size`. A device that gave no verdict gives no measures.
    """
    judged = [outcome for outcome in outcomes if isinstance(outcome, Judged)]
    return json.dumps({_name(one): _measures(one) for one in judged}, indent=1)


def _name(judged: Judged) -> str:
    return (plain(judged.measurement.artifact.name) + on(judged.device))[:_LONGEST_NAME]


def _measures(judged: Judged) -> dict[str, dict[str, float]]:
    found = {}
    for figure in figures(judged.verdict, judged.measurement):
        scale = 1e6 if figure.unit == "ms" else 1
        values = {"value": figure.value, "lower_value": figure.low, "upper_value": figure.high}
        found[figure.measure] = {key: value * scale for key, value in values.items() if value is not None}
    return found
