"""Markdown's tables, and what stands in their cells."""

from collections.abc import Sequence

from edgekd.values import Interval
from edgekd.values.deployment import Parity

_LONGEST = 200


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, which nothing in its cells can break."""
    cells = ([_one_line(cell) for cell in row] for row in (header, ["---"] * len(header), *rows))
    return "\n".join("| " + " | ".join(row) + " |" for row in cells)


def _one_line(cell: str) -> str:
    return " ".join(cell.split()).replace("|", "\\|")


def number(value: float, unit: str) -> str:
    """A value with its unit; bytes and large numbers in full."""
    shown = f"{value:,.0f}" if unit == "bytes" or abs(value) >= 1e4 else f"{value:.4g}"
    return f"{shown} {unit}".rstrip()


def interval(value: Interval | None) -> str:
    """A ratio with its confidence interval."""
    return f"{value.estimate:.3f} [{value.low:.3f}, {value.high:.3f}]" if value else "not measured"


def parity(value: Parity) -> str:
    """How far outputs are from the network's."""
    agreement = "" if value.top1_agreement is None else f", {value.top1_agreement:.1%}"
    return f"{value.sqnr_db:.0f} dB{agreement}"


def short(text: str) -> str:
    """A text from a file, cut where it would fill the screen."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text):,} characters)"


def code(name: str) -> str:
    """A name as it is, in a line."""
    return "`" + " ".join(name.split()).replace("`", "'") + "`"
