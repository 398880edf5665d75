"""Finds the splits of a folder of images by the names of its folders."""

from dataclasses import dataclass
from pathlib import Path

from edgekd.data.sources._class_folders import HINT, Files, LeftOut, class_files, inner_folders, shown
from edgekd.errors import EdgekdError

_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}


@dataclass(frozen=True)
class Found:
    """The images of "train" and, if they exist, "val" and "test", with notes for the user."""

    splits: dict[str, Files]
    notes: list[str]


def found_splits(folder: Path, left_out: LeftOut) -> Found:
    """The class folders of each split; of "train" alone if the folder has no splits.

    Raises:
        EdgekdError: the splits don't have the same classes.
        StorageError: a folder can't be read.
    """
    inside = inner_folders(folder)
    given = _named(folder, inside)
    if not given:
        return Found({"train": class_files(folder, left_out)}, [])
    notes = []
    others = [f for f in inside if f not in given.values()]
    if others:
        notes.append(f"{len(others)} folders other than the splits are left out, such as {shown(others[0])}")
    if "train" not in given:
        there = ", ".join(f.name for f in given.values())
        raise EdgekdError(f"{shown(folder)}: has {there}, but no train", f"Add {shown(folder / 'train')}.")
    splits = {s: class_files(inner, left_out, every=s == "train") for s, inner in given.items()}
    classes = list(splits["train"])
    for split, files in splits.items():
        _require_known(files, classes, given[split], given["train"])
        if missing := [name for name in classes if name not in files]:
            some = shown(missing[0])
            notes.append(f"{shown(given[split])} has no images of {len(missing)} of {len(classes)} classes: {some!r} …")
    if "test" not in splits and "val" in splits:
        splits["test"] = splits.pop("val")
        name = shown(given["val"].name)
        notes.append(f"there is no test folder: {name} is the test set, and a tenth of train is the validation set")
    return Found(splits, notes)


def _named(folder: Path, inside: list[Path]) -> dict[str, Path]:
    """The folders whose names are those of splits; none if they seem to be classes with such names."""
    given: dict[str, Path] = {}
    for split, names in _NAMES.items():
        some = [f for f in inside if f.name.casefold() in names]
        if len(some) > 1:
            what = f"{shown(folder)}: {some[0].name} and {some[1].name} both name the {split} split"
            raise EdgekdError(what, "Merge them, or move one away.")
        if some:
            given[split] = some[0]
    flat = [f for f in given.values() if not inner_folders(f)]
    if flat and len(flat) == len(given) < len(inside):
        return {}  # `train` beside `bus` and `car` is a class
    if flat:
        raise EdgekdError(f"{shown(flat[0])}: no class folders in it", HINT)
    return given


def _require_known(files: Files, known: list[str], folder: Path, train: Path) -> None:
    """Raises EdgekdError if a split has a class that training doesn't have."""
    odd = [name for name in files if name not in known]
    if not odd:
        return
    alike = next((name for name in known if name.casefold() == odd[0].casefold()), None)
    what = f"{shown(folder)} has a class that {shown(train)} doesn't have: {shown(odd[0])!r}"
    hint = f"Rename it to {shown(alike)!r}." if alike else "Give every split the same class folders."
    raise EdgekdError(what, hint)
