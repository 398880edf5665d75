"""What a given file's metadata states of its preprocessing and classes, where edgekd wrote it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
from pydantic import TypeAdapter, ValidationError

from edgekd.values import Preprocessing
from edgekd.values.manifest import CLASSES, PREPROCESSING

_CLASSES = TypeAdapter(tuple[str, ...])


def stated(model: onnx.ModelProto, path: Path, note: Callable[[str], None]) -> dict[str, Any]:
    """The fields `preprocessing` and `classes` of `Takes`, as far as they are stated.

    Args:
        model: of the file.
        path: its name for messages.
        note: told about metadata that can't be read.
    """
    entries = {entry.key: entry.value for entry in model.metadata_props}
    found: dict[str, Any] = {}
    try:
        if text := entries.get(PREPROCESSING):
            how = {key: value for key, value in json.loads(text).items() if key in Preprocessing.model_fields}
            found["preprocessing"] = Preprocessing.model_validate(how)
        if text := entries.get(CLASSES):
            found["classes"] = _CLASSES.validate_json(text)
    except (ValidationError, ValueError, AttributeError):
        note(f"{path.name}: its metadata {PREPROCESSING} or {CLASSES} can't be read, and isn't used")
        return {}
    return found
