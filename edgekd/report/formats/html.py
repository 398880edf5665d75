"""A page: report.html, one file that needs nothing else."""

from edgekd.report.content import document
from edgekd.report.formats._base import Report
from edgekd.report.page import page

SUFFIX = "html"


def text(report: Report) -> str:
    """The whole page."""
    return page(document(report))
