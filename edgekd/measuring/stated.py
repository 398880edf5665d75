"""What edgekd wrote into an ONNX file's metadata."""

import json

import onnx
from pydantic import ValidationError

from edgekd.values import Feeding, Lineage
from edgekd.values.manifest import CLASSES, LINEAGE, PREPROCESSING


def metadata(model: onnx.ModelProto) -> dict[str, str]:
    """All of a model's metadata."""
    return {entry.key: entry.value for entry in model.metadata_props}


def unreadable(model: onnx.ModelProto) -> tuple[str, ...]:
    """The keys of edgekd's own whose values can't be read: damaged ones, or those of a later version."""
    given = metadata(model)
    lost = [LINEAGE] if LINEAGE in given and lineage(model) is None else []
    of_feeding = [key for key in (PREPROCESSING, CLASSES) if key in given]
    return (*lost, *(of_feeding if feeding(model) is None else ()))


def lineage(model: onnx.ModelProto) -> Lineage | None:
    """What the model says that it was made from; None where it doesn't, or not as this version of edgekd writes it."""
    stated = metadata(model).get(LINEAGE)
    try:
        return Lineage.model_validate_json(stated) if stated else None
    except ValidationError:
        return None


def feeding(model: onnx.ModelProto) -> Feeding | None:
    """How the model says that it is fed; None as in `lineage`."""
    stated = metadata(model)
    if PREPROCESSING not in stated or CLASSES not in stated:
        return None
    try:
        how, classes = json.loads(stated[PREPROCESSING]), json.loads(stated[CLASSES])
        by = how.pop("normalised_by", "caller")
        return Feeding.model_validate({"preprocessing": how, "normalised_by": by, "classes": classes})
    except (
        ValueError,
        AttributeError,
        TypeError,
    ):  # no JSON, or of another shape (ValidationError)
        return None
