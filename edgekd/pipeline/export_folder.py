"""The folder of an export: its list of files, and no file of an earlier export that isn't in it."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from edgekd import files
from edgekd.values.exported import Exports

_LIST = "export.json"


def write_exports(exports: Exports, root: Path, further: Iterable[str] = ()) -> None:
    """Write the list, and remove what an earlier one has and this one hasn't: a file of another model or other settings
    would be taken for one of these.

    Args:
        exports: with the names of the files, which lie in the folder.
        root: the folder.
        further: other files that were written there, by their paths in it.
    """
    kept = {*further, *_names(json.loads(exports.model_dump_json()))}
    try:
        earlier = {*_names(json.loads((root / _LIST).read_text(encoding="utf-8")))}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # there is none, or it is of another version
        earlier = set()
    remove_all(root, earlier - kept)
    files.write_text(root / _LIST, exports.model_dump_json(indent=1))


def remove_all(root: Path, names: Iterable[str]) -> None:
    """Remove these files where they are in the folder."""
    for name in names:
        file = root / name
        if file.resolve().is_relative_to(root.resolve()) and file.is_file():
            file.unlink()


def _names(exports: dict[str, object]) -> Iterator[str]:
    """The files of an export's list but the given one, and those of their measurements."""
    for one in exports["exported"]:  # type: ignore[attr-defined]
        if not one["given"]:
            yield from (file["path"] for file in one["artifact"]["files"])
            yield f"measured/{one['artifact']['name']}.json"
            yield from filter(None, [one["manifest"]])
