"""Writes the report of a run in every format."""

from pathlib import Path

from edgekd import catalog, files
from edgekd.report import svg
from edgekd.report.formats._base import FORMATS, Report
from edgekd.report.pictures import latency
from edgekd.visible import visible


def names() -> dict[str, str]:
    """The names of a report's files, by what they are."""
    return {f"report in {name}": f"report.{catalog.load(FORMATS, name).SUFFIX}" for name in catalog.names(FORMATS)}


def write(report: Report, root: Path) -> None:
    """Write the report to the folder `root` in each format, and its picture, if anything was measured.

    Raises:
        StorageError: the folder isn't writable or the disk is full.
    """
    for name in catalog.names(FORMATS):
        form = catalog.load(FORMATS, name)
        files.write_text(root / f"report.{form.SUFFIX}", visible(form.text(report)))
    if drawn := latency.picture(report.result):
        files.write_text(root / latency.FILE, visible(svg.file(drawn.svg, latency.title(report.result))))
