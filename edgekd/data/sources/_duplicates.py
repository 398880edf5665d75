"""Finds identical image files by their content."""

from collections.abc import Sequence
from pathlib import Path

from edgekd.data.sources._class_folders import shown
from edgekd.errors import EdgekdError
from edgekd.values import Data

_MOST = 0.01
"""The fraction of a split's images that may be in an earlier split as well: more would bias its accuracy."""


def copies(contents: Sequence[str]) -> list[int]:
    """For each file the index of the first file with the same content."""
    first: dict[str, int] = {}
    return [first.setdefault(content, index) for index, content in enumerate(contents)]


def notes_on_copies(splits: dict[str, dict[Path, str]], folder: Path, stated: Data) -> list[str]:
    """Notes about files that are in two splits, or more than once in one split.

    Args:
        splits: the content of each file, by split.
        folder: the folder with all files.
        stated: the user's settings.

    Raises:
        EdgekdError: more than 1 % of the validation or test images are in an earlier split, without permission.
    """
    told = []
    for earlier, later in ((("train",), "val"), (("train", "val"), "test")):
        before = {content: path for split in earlier for path, content in splits[split].items()}
        same = [path for path, content in splits[later].items() if content in before]
        if not same:
            continue
        one = f"{shown(same[0])} is {shown(before[splits[later][same[0]]])}"
        where = " or ".join(earlier)
        what = f"{len(same):,} of {len(splits[later]):,} {later} images are in {where} as well: {one}"
        if len(same) > _MOST * len(splits[later]) and not stated.allow_duplicates:
            hint = "Remove them, because they inflate the accuracy, or set allow_duplicates = true in [data]."
            raise EdgekdError(f"{shown(folder)}: {what}", hint)
        told.append(what)
    return [*told, *_within(splits)]


def _within(splits: dict[str, dict[Path, str]]) -> list[str]:
    """Notes about copies within a split, and in two classes."""
    files = [(path, content) for some in splits.values() for path, content in some.items()]
    first = copies([content for _, content in files])
    repeated = [i for i, original in enumerate(first) if i != original]
    if not repeated:
        return []
    one, other = files[repeated[0]][0], files[first[repeated[0]]][0]
    return [f"{len(repeated):,} of {len(files):,} images are copies of others: {shown(one)} is {shown(other)}"]
