"""What github-action-benchmark reads as `tool: customSmallerIsBetter`."""

import json
from typing import Final

from edgekd.gate.ci._figures import figures
from edgekd.gate.ci._findings import plain
from edgekd.gate.judge import Judged
from edgekd.measuring.summary import conditions

HELP = "Write what github-action-benchmark reads as customSmallerIsBetter."
OPTION: Final = "file"


def text(judged: Judged, *, tolerate: bool) -> str:
    """An entry for each figure, with its interval and the conditions."""
    verdict, measurement = judged.verdict, judged.measurement
    # it writes names into Markdown tables as they are
    artifact = plain(measurement.artifact.name).replace("`", "'").replace("|", "/")
    entries = []
    for figure in figures(verdict, measurement):
        entry = {"name": f"{artifact}: {figure.name}", "unit": figure.unit, "value": figure.value}
        if figure.low is not None and figure.high is not None:
            entry["range"] = f"{figure.low:.4g} to {figure.high:.4g} at {100 * figure.confidence:.5g} %"
        entries.append(
            entry | {"extra": plain(f"budget {verdict.budget}: {verdict.status}; {conditions(measurement)[0]}")}
        )
    return json.dumps(entries, indent=1)
