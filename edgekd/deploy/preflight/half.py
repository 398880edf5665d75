"""What of a float16 file stays in float32."""

import json
from collections.abc import Iterator

from edgekd.deploy.preflight.model import Model
from edgekd.deploy.preflight.rule import Destination, Rule
from edgekd.deploy.quantise.half import KEPT


def _kept(model: Model, to: Destination) -> Iterator[str]:
    for entry in model.proto.metadata_props:
        if entry.key == KEPT:
            for name, why in json.loads(entry.value).items():
                yield f"{name} ({why})"


RULES = (
    Rule(
        "fp32-kept",
        "warning",
        "values that float16 doesn't hold, on the calibration images, stay in float32",
        "Nothing needs to be done: the nodes around them are slower. Normalise the layers before them to be faster.",
        _kept,
    ),
)
