"""Reads what Linux says of itself in files: sysfs, procfs, files of the distribution."""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/")


def path(name: str | Path) -> Path:
    """A file or folder by its path without the first slash, such as "sys/class/hwmon"; one with it stays as it is."""
    return ROOT / name


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


def found(folder: str | Path, pattern: str) -> list[Path]:
    """The files and folders below a folder that match a pattern, sorted; none if it can't be read."""
    try:
        return sorted(path(folder).glob(pattern))
    except OSError:
        return []
