"""What github-action-benchmark reads as `tool: customSmallerIsBetter`."""

import json
from collections.abc import Sequence
from typing import Final

from edgekd.gate.ci._figures import figures
from edgekd.gate.ci._findings import on, plain
from edgekd.gate.judge import Judged, Outcome
from edgekd.measuring.summary import conditions

HELP = "Write what github-action-benchmark reads as customSmallerIsBetter."
OPTION: Final = "file"


def text(outcomes: Sequence[Outcome], *, tolerate: bool) -> str:
    """An entry for each figure of each device, with its interval and the conditions."""
    judged = [outcome for outcome in outcomes if isinstance(outcome, Judged)]
    return json.dumps([entry for one in judged for entry in _entries(one)], indent=1)


def _entries(judged: Judged) -> list[dict[str, object]]:
    verdict, measurement = judged.verdict, judged.measurement
    # it writes names into Markdown tables as they are
    artifact = (plain(measurement.artifact.name) + on(judged.device)).replace("`", "'").replace("|", "/")
    entries: list[dict[str, object]] = []
    for figure in figures(verdict, measurement):
        entry: dict[str, object] = {"name": f"{artifact}: {figure.name}", "unit": figure.unit, "value": figure.value}
        if figure.low is not None and figure.high is not None:
            entry["range"] = f"{figure.low:.4g} to {figure.high:.4g} at {100 * figure.confidence:.5g} %"
        entries.append(
            entry | {"extra": plain(f"budget {verdict.budget}: {verdict.status}; {conditions(measurement)[0]}")}
        )
    return entries
