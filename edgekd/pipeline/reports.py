"""`report`: the page of a run, or of measurements, from the documents that they left."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from edgekd import catalog
from edgekd.errors import EdgekdError, StorageError
from edgekd.files import read_text, require_writable, write_text
from edgekd.measuring.document import read_measurement
from edgekd.report import compared
from edgekd.report.blocks import Document
from edgekd.report.content import document
from edgekd.report.formats._base import Report
from edgekd.report.measured import measurements
from edgekd.report.page import page
from edgekd.values import Measurement, Value
from edgekd.values.result import Result

V = TypeVar("V", bound=Value)

RESULT, PAGE, COMPARED = "result.json", "report.html", "compared.html"
_LONGEST = 100_000_000
_A_RUN = "Give the folder of a finished run, or a measurement (.json) that `edgekd profile --out` wrote."


def report(paths: Sequence[Path], out: Path | None = None, *, compare: Path | None = None) -> Path:
    """Write the page of a run's folder, or of measurements, the last of which is the one they are compared with.

    Args:
        paths: one folder, or files.
        compare: another run's folder, or another measurement, to put beside a single one of `paths`.
        out: the page; None: `report.html` in the folder, or beside the first file, under its name.

    Returns:
        Where the page is.

    Raises:
        StorageError: a file can't be read, or the page not written.
        EdgekdError: a folder isn't that of a finished run, a file is no measurement, or both are given; or the two to
            put side by side can't be compared.
    """
    for path in [*paths, *([compare] if compare else [])]:
        if not path.exists():
            raise StorageError(f"{path}: No such file or directory", _A_RUN)
    to = out or place(paths[0], side_by_side=compare is not None)
    require_writable(to)
    write_text(to, page(beside(paths, compare) if compare else documented(paths)))
    return to


def place(path: Path, *, side_by_side: bool = False) -> Path:
    """Where the page of a folder or a file is, if nothing else is said."""
    if path.is_dir():
        return path / (COMPARED if side_by_side else PAGE)
    return path.with_suffix(".compared.html" if side_by_side else ".html")


def beside(paths: Sequence[Path], other: Path) -> Document:
    """What a page says of two; raises as `report`."""
    both = [*paths, other]
    kinds = {path.is_dir() for path in both}
    if len(both) > 2 or len(kinds) > 1:
        raise EdgekdError("--compare puts two runs, or two measurements, side by side", _A_RUN)
    if kinds == {True}:
        return compared.runs(*map(of_run, both))
    return compared.measurements(*map(read_measurement, both))


def documented(paths: Sequence[Path]) -> Document:
    """What a page says of these; raises as `report`."""
    folders = [path for path in paths if path.is_dir()]
    if not folders:
        return measurements([read_measurement(path) for path in paths])
    if len(paths) > 1:
        raise EdgekdError(f"{folders[0]}: a page is of one run, or of measurements", _A_RUN)
    return document(of_run(folders[0]))


def of_run(folder: Path) -> Report:
    """All that the page of a run is made from; raises as `report`."""
    result = read(folder / RESULT, Result)
    if result.device is None:
        return Report(result)
    reference = result.files.get(f"measurement of {result.reference}", f"measurements/{result.reference}.json")
    judged = [folder / "verdict" / name for name in ("model.json", "reference.json")]
    return Report(result, read_measurement(folder / reference), _stored(judged))


def read(path: Path, kind: type[V]) -> V:
    """A document of a run or a study. Raises StorageError, and EdgekdError where it is another one."""
    text = read_text(path, hint=_A_RUN, at_most=_LONGEST)
    try:
        return kind.model_validate_json(text)
    except ValidationError as e:
        message, _ = catalog.explain(e, str(path), kind)
        raise EdgekdError(message, f"{_A_RUN} The edgekd that wrote it may be another version.") from e


def _stored(paths: Sequence[Path]) -> tuple[Measurement, ...]:
    return tuple(read_measurement(path) for path in paths if path.exists())
