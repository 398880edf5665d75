"""Measurements as JSON files: every field is validated on reading, and writing is atomic.

Documents of version 1 are converted on reading.
"""

import json
import re
from pathlib import Path

from pydantic import BaseModel, ValidationError

from edgekd import catalog
from edgekd.errors import EdgekdError
from edgekd.files import read_text, write_text
from edgekd.measuring import version1
from edgekd.values import Measurement, Value

_WRITTEN = "Give a measurement that `edgekd profile --out` wrote, or one of a run, such as RUN/verdict/model.json."
_LONGEST_MESSAGE = 400
_LONGEST_DOCUMENT = 1_000_000_000


class _Head(BaseModel):
    """The part that documents of all versions have."""

    schema_version: object = None


def read_measurement(path: Path) -> Measurement:
    """A measurement that `edgekd profile --out` or `edgekd compress` wrote.

    Raises:
        StorageError: the file can't be read.
        EdgekdError: the file isn't a measurement, has an unknown schema version, or has an invalid field.
    """
    text = read_text(path, hint=_WRITTEN, at_most=_LONGEST_DOCUMENT)
    try:
        # strict: a number in quotes, or true for 1, means that the file is damaged
        if _Head.model_validate_json(text).schema_version == version1.NAME:
            return version1.Measurement.model_validate_json(text, strict=True).converted()
        measurement = _validated(text)
    except ValidationError as e:
        raise EdgekdError(*_explained(e, path)) from e
    if "schema_version" not in measurement.model_fields_set:
        raise EdgekdError(f"{path}: 'schema_version' is missing", "Measure again with `edgekd profile --out`.")
    return measurement


def write(path: Path, value: Value) -> None:
    """Write a value's document. Raises StorageError."""
    write_text(path, value.model_dump_json(indent=1) + "\n")


def _validated(text: str) -> Measurement:
    """Raises ValidationError."""
    try:
        return Measurement.model_validate_json(text, strict=True)
    except ValidationError as e:
        if all(problem["loc"][:2] != ("artifact", "lineage") for problem in e.errors(include_input=False)):
            raise
    return Measurement.model_validate_json(_with_network(text), strict=True)


def _with_network(text: str) -> str:
    """The document with a lineage of today in place of an earlier one, which had the network's name and weights."""
    document = json.loads(text)
    earlier = document["artifact"]["lineage"]
    if isinstance(earlier, dict) and "model" in earlier:
        network = {key: earlier.pop(key, "") for key in ("model", "weights")}
        document["artifact"]["lineage"] = {**earlier, "network": network}
    return json.dumps(document)


def _explained(error: ValidationError, path: Path) -> tuple[str, str]:
    problem = error.errors(include_input=False)[0]
    if problem["type"] == "json_invalid":
        return f"{path}: isn't JSON: {problem['ctx']['error']}", "It may be truncated: measure or copy it again."
    for problem in error.errors():
        if problem["loc"] == ("schema_version",):
            named = re.fullmatch(r"edgekd\.(\w+)/\d+", str(problem["input"]))
            if named and named[1] != "measurement":
                return f"{path}: is not a measurement, but of the kind {named[0]!r}"[:_LONGEST_MESSAGE], _WRITTEN
            hint = "Use the version of edgekd that wrote it, or measure again."
            return f"{path}: schema_version {problem['input']!r} is not supported"[:_LONGEST_MESSAGE], hint
    message, hint = catalog.explain(error, str(path), Measurement)
    return message[:_LONGEST_MESSAGE], hint
