"""Which output of a given file the labels of images mean."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edgekd.data.feeds.feeds import Feeds, FeedSplits
from edgekd.values.given import Given

Note = Callable[[str], None]


def labelled(splits: FeedSplits, given: Given, note: Note) -> FeedSplits:
    """The images with labels that are the positions of the file's outputs, or without labels.

    Names of classes are those that the file states; where it states none, and gives as many outputs, they are taken in
    alphabetical order, as torchvision and edgekd number folders.

    Args:
        splits: with labels of their own.
        given: the file.
        note: told why labels aren't used, or how they were taken.
    """
    if splits.held_out.labels is None:
        return splits
    why = _unusable(splits, given)
    if why is not None:
        note(f"labels aren't used: {why}")
        return _without(splits)
    if splits.classes is not None and given.takes.classes is not None:
        return _by_name(splits, splits.classes, given.takes.classes)
    if splits.classes is not None:
        first, last = splits.classes[0], splits.classes[-1]
        note(f"the file doesn't name its outputs: they are taken as the classes in this order: {first} … {last}")
    return splits


def _unusable(splits: FeedSplits, given: Given) -> str | None:
    """Why the labels can't be positions of the file's outputs."""
    theirs = given.takes.classes
    count = given.classes or len(theirs or ())
    if not count:
        return "the file's outputs aren't logits (1, classes)"
    if splits.classes is None:
        greatest = max(int(feeds.labels.max()) for feeds in _both(splits) if feeds.labels is not None)
        return f"one is {greatest}, and the file has {count} outputs" if greatest >= count else None
    if theirs is not None:
        unknown = [name for name in splits.classes if name not in theirs]
        return f"the file knows no class {unknown[0]!r}, but {', '.join(theirs[:5])} …" if unknown else None
    if len(splits.classes) != count:
        return f"there are {len(splits.classes)} classes of images, and the file has {count} outputs"
    return None


def _by_name(splits: FeedSplits, ours: tuple[str, ...], theirs: tuple[str, ...]) -> FeedSplits:
    where = np.array([theirs.index(name) for name in ours], np.int64)
    calibration, held_out = (
        replace(feeds, labels=None if feeds.labels is None else where[feeds.labels]) for feeds in _both(splits)
    )
    return replace(splits, calibration=calibration, held_out=held_out)


def _both(splits: FeedSplits) -> tuple[Feeds, Feeds]:
    return splits.calibration, splits.held_out


def _without(splits: FeedSplits) -> FeedSplits:
    calibration, held_out = (replace(feeds, labels=None) for feeds in _both(splits))
    return replace(splits, calibration=calibration, held_out=held_out)
