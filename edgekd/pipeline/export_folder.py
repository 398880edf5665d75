"""The folder of an export: its list of files, and no file of an earlier export that isn't in it."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from edgekd import files
from edgekd.values.exported import Exports

_LIST = "export.json"


def write_exports(exports: Exports, root: Path, further: Iterable[str] = ()) -> None:
    """Write the list, and remove what an earlier one has and this one hasn't: a file of another model or other settings
    would be taken for one of these. The given file stays, whatever made it.

    Args:
        exports: with the names of the files, which lie in the folder.
        root: the folder.
        further: the measurements that were written there, by their paths in it.
    """
    now = json.loads(exports.model_dump_json())
    try:
        before = json.loads((root / _LIST).read_text(encoding="utf-8"))
        earlier = {*_names(before), *_measurements(before)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # there is none, or it is of another version
        earlier = set()
    given = [file.path for one in exports.exported if one.given for file in one.artifact.files]
    remove_all(root, earlier - {*_names(now), *further}, but=given)
    files.write_text(root / _LIST, exports.model_dump_json(indent=1))


def remove_all(root: Path, names: Iterable[str], *, but: Iterable[Path]) -> None:
    """Remove these files where they are in the folder.

    Args:
        root: the folder.
        names: of files below it.
        but: files of the user's, which stay wherever they are.
    """
    kept = {path.resolve() for path in but}
    for file in (root / name for name in names):
        if file.resolve() not in kept and file.resolve().is_relative_to(root.resolve()) and file.is_file():
            file.unlink()


def _names(exports: dict[str, Any]) -> Iterator[str]:
    """The files of an export's list but the given one, and their manifests."""
    for one in exports["exported"]:
        if not one["given"]:
            yield from (file["path"] for file in one["artifact"]["files"])
            yield from filter(None, [one["manifest"]])


def _measurements(exports: dict[str, Any]) -> Iterator[str]:
    """Where measurements of its files are, if there are any."""
    return (f"measured/{one['artifact']['name']}.json" for one in exports["exported"])
