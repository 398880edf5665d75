"""Finds the images in class folders, which may also hold links, hidden files and files that are no images."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgekd.errors import EdgekdError, StorageError
from edgekd.files import is_folder

Files = dict[str, list[Path]]
"""The images of each class, by its folder's name."""
_SUFFIXES = {
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".bmp", ".dib", ".webp", ".avif", ".gif", ".tga"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff"),
}
_SYSTEM = {"__macosx", "__pycache__", "@eadir", "$recycle.bin", "system volume information", "lost+found"}
_SYSTEM |= {"thumbs.db", "desktop.ini", "icon\r"}
HINT = "A folder of images is PATH/CLASS/*.png, or PATH/train/CLASS/*.png with test and perhaps val beside train."


@dataclass
class LeftOut:
    """Files below a folder that are not used as images."""

    unknown: list[Path] = field(default_factory=list)
    """Files without an image's extension, and everything that is no regular file."""

    def notes(self) -> list[str]:
        """Notes for the user."""
        if not self.unknown:
            return []
        count = len(self.unknown)
        what = "1 file is" if count == 1 else f"{count:,} files are"
        return [f"{what} left out, without an image's extension, such as {shown(self.unknown[0])}"]


def shown(path: Path | str) -> str:
    """A path or name as text; bytes that aren't UTF-8 as their hexadecimal escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def hidden(name: str) -> bool:
    """Whether a file or folder of that name is hidden or belongs to the operating system."""
    return name.startswith(".") or name.casefold() in _SYSTEM


def inner_folders(folder: Path) -> list[Path]:
    """The folders inside that may be classes or splits, sorted by name.

    Raises:
        StorageError: the folder can't be read.
    """
    return sorted(Path(entry.path) for entry in _entries(folder) if not hidden(entry.name) and is_folder(entry.path))


def class_files(folder: Path, left_out: LeftOut, *, every: bool = True) -> Files:
    """The images below each class folder, by name in alphabetical order.

    Args:
        folder: the folder with the class folders.
        left_out: receives the files that are no images.
        every: whether each class folder must hold images; otherwise empty ones are left out.

    Raises:
        EdgekdError: there are no images, there is only one class, or a class folder is empty.
        StorageError: the folder can't be read.
    """
    inside = inner_folders(folder)
    files = {f.name: sorted(_images(f, left_out, {_identity(f)})) for f in inside}
    if not files:
        loose = [e for e in _entries(folder) if Path(e.name).suffix.lower() in _SUFFIXES]
        what = f"{shown(folder)}: no class folders in it" + (f", but {len(loose):,} images" if loose else "")
        raise EdgekdError(what, HINT)
    if not any(files.values()):
        raise EdgekdError(f"{shown(folder)}: no images in its {len(files)} folders", HINT)
    _require_distinct([f.name for f in inside], folder)
    empty = [name for name, paths in files.items() if not paths]
    if empty and every:
        raise EdgekdError(f"{shown(folder / empty[0])}: no images in it", "Add some, or remove the folder.")
    if len(files) == 1 and every:
        what = f"{shown(folder)}: only one class, {shown(inside[0].name)!r}; at least two are required"
        raise EdgekdError(what, HINT)
    return {name: paths for name, paths in files.items() if paths}


def every_image(folder: Path, left_out: LeftOut) -> list[Path]:
    """All images below a folder, whatever its folders are called, sorted. Raises StorageError: it can't be read."""
    return sorted(_images(folder, left_out, {_identity(folder)}))


def _require_distinct(names: list[str], folder: Path) -> None:
    """Raises EdgekdError if two names differ only in case: on some systems they are the same folder."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            what = f"{shown(folder)}: the classes {shown(other)!r} and {shown(name)!r} differ only in case"
            raise EdgekdError(what, "Rename one of them, or merge them.")


def _images(folder: Path, left_out: LeftOut, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """The images below a folder; each folder is read once, however many links point to it."""
    for entry in _entries(folder):
        if hidden(entry.name):
            continue
        path = Path(entry.path)
        try:
            state = entry.stat()
        except OSError:  # a broken link
            left_out.unknown.append(path)
            continue
        if stat.S_ISDIR(state.st_mode):
            if (where := _identity(path)) not in seen:
                seen.add(where)
                yield from _images(path, left_out, seen)
        elif stat.S_ISREG(state.st_mode) and path.suffix.lower() in _SUFFIXES:
            yield path
        else:
            left_out.unknown.append(path)


def _identity(folder: Path) -> tuple[int, int]:
    # not entry.stat(), which has no inode on Windows
    state = folder.stat()
    return state.st_dev, state.st_ino


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as e:
        raise StorageError(f"{shown(folder)}: can't be read: {e.strerror or e}", "Check its permissions.") from e
