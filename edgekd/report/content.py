"""What reports and the console show of a run in the same way."""

from edgekd.report.cells import interval, parity
from edgekd.values.result import Result


def artifact_rows(result: Result) -> list[list[str]]:
    """The reference and the student's artifacts, one per row, below the headings."""
    rows = [
        [
            t.name,
            f"{t.median_ms:.3f} ms" if t.median_ms is not None else "not measured",
            interval(t.ratio),
            f"{t.val.top1:.2%}",
            f"{t.test.top1:.2%}",
            f"{t.artifact.disk_bytes:,}",
            f"{t.artifact.transfer_bytes:,}",
            parity(t.parity),
        ]
        for t in result.tried
    ]
    header = ["file", "median", "ratio (95 %)", "validation", "test", "bytes", "gzip bytes", "against the network"]
    return [header, *rows]
