"""Reads Linux's sysfs and procfs files."""

from __future__ import annotations

from pathlib import Path

SYS = Path("/sys")


def text(file: Path) -> str:
    """The file's text; "" if it can't be read."""
    try:
        return file.read_text(errors="replace").strip("\0\n ")
    except OSError:
        return ""


def number(file: Path) -> float | None:
    """The number in the file; None if it can't be read."""
    try:
        return float(text(file))
    except ValueError:
        return None
