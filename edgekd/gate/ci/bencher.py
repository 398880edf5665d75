"""Bencher Metric Format (https://bencher.dev/docs/reference/bencher-metric-format): the artifact's measures."""

import json
from typing import Final

from edgekd.gate.ci._figures import figures
from edgekd.gate.ci._findings import plain
from edgekd.gate.judge import Judged

HELP = "Write Bencher Metric Format."
OPTION: Final = "file"

_LONGEST_NAME = 1024  # bencher's


def text(judged: Judged, *, tolerate: bool) -> str:
    """Times in nanoseconds and sizes in bytes, as in bencher's built-in measures `latency` (here: the median) and
    `file-size`.
    """
    found = {}
    for figure in figures(judged.verdict, judged.measurement):
        scale = 1e6 if figure.unit == "ms" else 1
        values = {"value": figure.value, "lower_value": figure.low, "upper_value": figure.high}
        found[figure.measure] = {key: value * scale for key, value in values.items() if value is not None}
    return json.dumps({plain(judged.measurement.artifact.name)[:_LONGEST_NAME]: found}, indent=1)
