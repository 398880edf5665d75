"""A study's folder: what it was started with, so that it isn't gone on with otherwise."""

from pathlib import Path

from pydantic import ValidationError

from edgekd.errors import EdgekdError, StorageError
from edgekd.files import write_text
from edgekd.studies._results import Plan
from edgekd.values import document

_FILE = "study.json"


def require_same(root: Path, plan: Plan) -> None:
    """Write the plan to a new study's folder, or hold it against that of the study which is there.

    Raises:
        EdgekdError: the folder holds another study, or one with other settings; each difference is named.
        StorageError: the folder can't be written.
    """
    path = root / _FILE
    if not path.exists():
        write_text(path, plan.model_dump_json(indent=1) + "\n")
        return
    try:
        before = Plan.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as e:
        raise StorageError(f"{path} can't be read as a study's settings", "Give another --out.") from e
    if differ := _differences(document(before), document(plan)):
        hint = "Start it as before, or give another --out."
        raise EdgekdError(f"{root}: the study there was started otherwise: {'; '.join(differ)}", hint)


def _differences(before: dict[str, object], now: dict[str, object], key: str = "") -> list[str]:
    found = []
    for name, was in before.items():
        value, path = now[name], f"{key}.{name}" if key else name
        if isinstance(was, dict) and isinstance(value, dict) and was.keys() == value.keys():
            found += _differences(was, value, path)
        elif was != value:
            found.append(f"{path} was {was!r}, now {value!r}")
    return found
