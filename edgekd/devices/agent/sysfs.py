"""Reads the small text files in which Linux reports its state."""

from __future__ import annotations

from pathlib import Path

SYS = Path("/sys")


def text(file: Path) -> str:
    """The text of the file; "" if it can't be read."""
    try:
        return file.read_text(errors="replace").strip("\0\n ")
    except OSError:
        return ""


def number(file: Path) -> float | None:
    """The number in the file; None if there is none."""
    try:
        return float(text(file))
    except ValueError:
        return None
