"""What `edgekd export MODEL.onnx` does with its options."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd import catalog
from edgekd.cli.working import working
from edgekd.errors import EdgekdError
from edgekd.files import require_utf8

if TYPE_CHECKING:
    from edgekd.values.exported import Exports

_CALIBRATED = ("data.size", "data.mean", "data.std")
"""Options of a network that say how the images of --calibrate are prepared."""
_TABLES = ("data", "quantize")
"""Of a recipe: all that such a file takes of it."""
MAX_DROP_PP = 1.0


def check_given(file: Path, given: dict[str, Any], *, recipe: Path | None, calibrate: str | None) -> None:
    """Raises EdgekdError if options of a network are given beside a file."""
    taken = ("target", *_CALIBRATED) if calibrate else ("target",)
    others = [key for key, value in given.items() if value is not None and key not in taken]
    if others or (recipe and not calibrate):
        what = f"{file}: a file takes no option of a network ({', '.join(others) or 'recipe'})"
        hint = "Give --calibrate IMAGES beside MODEL.onnx, or --model, --weights and --data without it."
        raise EdgekdError(what, hint)


def checked_file(file: Path, target: str, out: Path, **where: Any) -> "Exports":
    """The preflight of a file, and fp16 made of it."""
    verb = catalog.require("edgekd.pipeline.export_file")
    with working() as progress:
        found: Exports = verb.export_file(file, catalog.target(target), out, **where, progress=progress)
    return found


def calibrated_file(
    file: Path, target: str, out: Path, calibrate: str, given: dict[str, Any], **more: Any
) -> "Exports":
    """A file's variants, calibrated on images.

    Args:
        file: the model.
        target: by name or file.
        out: the folder.
        calibrate: the images.
        given: options by the keys of a recipe.
        more: `recipe` and `max_drop`; `data_root` and `download` of `Asked`; others of the verb.
    """
    from edgekd.values import Data, Quantisation

    require_utf8("--out", str(out.absolute()))
    tables = _tables(more.pop("recipe"))
    options = {key.removeprefix("data."): value for key, value in given.items() if key in _CALIBRATED and value}
    data = _made(Data, {**tables["data"], **options, "source": calibrate})
    quantize = _made(Quantisation, tables["quantize"])
    drop = more.pop("max_drop")
    verb = catalog.require("edgekd.pipeline.from_file")
    asked = catalog.require("edgekd.pipeline.file_work").Asked(
        data=data,
        calibrated_on=quantize.images,
        max_drop_pp=MAX_DROP_PP if drop is None else drop,
        data_root=more.pop("data_root"),
        download=more.pop("download"),
    )
    with working(out) as progress:
        found: Exports = verb.export_from_file(file, catalog.target(target), out, asked, **more, progress=progress)
    return found


def _tables(recipe: Path | None) -> dict[str, dict[str, Any]]:
    read = catalog.toml_keys(recipe, "Give the path of a recipe with [data] and [quantize].") if recipe else {}
    if others := [name for name in read if name not in _TABLES]:
        what = f"{recipe}: a given file takes [data] and [quantize] of a recipe, and not {others[0]!r}"
        raise EdgekdError(what, "Leave it out.")
    tables = {name: read.get(name, {}) for name in _TABLES}
    if odd := [name for name, table in tables.items() if not isinstance(table, dict)]:
        raise EdgekdError(f"{recipe}: {odd[0]} is no table", f"Write [{odd[0]}] with the keys below it.")
    if "source" in tables["data"]:
        raise EdgekdError(f"{recipe}: the images are those of --calibrate, not of [data] source", "Leave it out.")
    return tables


def _made(kind: Any, values: dict[str, Any]) -> Any:
    from pydantic import ValidationError

    try:
        return kind.model_validate(values)
    except ValidationError as e:
        raise EdgekdError(*catalog.explain(e, "--recipe and options", kind)) from e


def folder(*parts: str) -> Path:
    """The default folder: the same network for the same target has the same one."""
    return Path("exports") / re.sub(r"[^\w.=]+", "-", "-".join((*parts[:-1], Path(parts[-1]).stem)))
