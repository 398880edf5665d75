"""Write the JSON Schema of every document that edgekd prints or stores: `python tools/schemas.py`."""

import json
from pathlib import Path

from edgekd.devices.bundle.manifest import Bundle
from edgekd.gate.budget import Budgets
from edgekd.measuring.explain import Explanation
from edgekd.pipeline.detect import Detected
from edgekd.pipeline.devices import DeviceStates
from edgekd.pipeline.doctor import Diagnosis
from edgekd.studies._results import Overviews, StudyResult
from edgekd.values import (
    DevicesMeasured,
    Manifest,
    Measurement,
    Measurements,
    Targets,
    Value,
    Verdict,
    Verdicts,
)
from edgekd.values.exported import Exports
from edgekd.values.inspection import Inspection
from edgekd.values.result import Result

FOLDER = Path(__file__).parent.parent / "edgekd" / "schemas"

DOCUMENTS: dict[str, type[Value]] = {
    "result": Result,
    "export": Exports,
    "inspection": Inspection,
    "manifest": Manifest,
    "measurement": Measurement,
    "measurements": Measurements,
    "profiles": DevicesMeasured,
    "explanation": Explanation,
    "verdict": Verdict,
    "verdicts": Verdicts,
    "targets": Targets,
    "budgets": Budgets,
    "detected": Detected,
    "devices": DeviceStates,
    "doctor": Diagnosis,
    "bundle": Bundle,
    "study": StudyResult,
    "studies": Overviews,
}


def text(document: type[Value]) -> str:
    """The JSON Schema of what edgekd writes."""
    schema = document.model_json_schema(mode="serialization")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    # an identifier that is always written, though reading would default it
    schema["required"] = sorted({*schema.get("required", ()), "schema_version"})
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, document in DOCUMENTS.items():
        (FOLDER / f"{name}.json").write_text(text(document), encoding="utf-8")


if __name__ == "__main__":
    main()
