"""A study's documents: the JSON of what it concludes, the report, its page, the plots."""

from collections.abc import Mapping
from pathlib import Path

from edgekd import catalog, files
from edgekd.errors import EdgekdError, StorageError
from edgekd.report.page import page
from edgekd.studies._results import StudyResult
from edgekd.studies.run.projections import Projection
from edgekd.studies.run.report import document, markdown
from edgekd.visible import visible


def write(root: Path, result: StudyResult, projections: Mapping[str, Projection]) -> StudyResult:
    """Write all of them; without matplotlib the rest, and a remark says what is missing.

    Raises:
        StorageError: the folder isn't writable or the disk is full.
    """
    written = {"result": "result.json", "report": "report.md", "page": "report.html"}
    try:
        written |= _plots(root, result, projections)
    except StorageError:
        raise
    except EdgekdError as e:
        result = result.model_copy(update={"remarks": (*result.remarks, f"no plots: {e.message}: {e.hint}")})
    result = result.model_copy(update={"files": written})
    files.write_text(root / written["report"], visible(markdown(result)))
    files.write_text(root / written["page"], page(document(result)))
    files.write_text(root / written["result"], result.model_dump_json(indent=1) + "\n")
    return result


def _plots(root: Path, result: StudyResult, projections: Mapping[str, Projection]) -> dict[str, str]:
    plots = catalog.require("edgekd.studies.run.plots")
    made: dict[str, bytes] = {
        "accuracy against parameters": plots.accuracy_against_parameters(result),
        "accuracy against latency": plots.accuracy_against_latency(result),
        "features": plots.features({name: (p.points, p.labels) for name, p in projections.items()}),
    }
    written = {}
    for name, png in made.items():
        if png:
            written[name] = f"{name.replace(' ', '-')}.png"
            files.write_bytes(root / written[name], png)
    return written
