import importlib.util
import json
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "schemas.py"


def tool():
    spec = importlib.util.spec_from_file_location("schemas", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", tool().DOCUMENTS)
def test_shipped_schemas_are_current(name):
    shipped = (tool().FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert shipped == tool().text(tool().DOCUMENTS[name]), "run: python tools/schemas.py"


def test_a_document_has_what_its_schema_requires(measurement):
    schema = json.loads((tool().FOLDER / "measurement.json").read_text(encoding="utf-8"))
    document = measurement().model_dump(mode="json")
    assert set(schema["required"]) <= set(document) == set(schema["properties"])
    assert schema["additionalProperties"] is False
    assert document["schema_version"] == schema["properties"]["schema_version"]["const"]


def test_no_schema_is_left_over():
    assert {file.stem for file in tool().FOLDER.glob("*.json")} == set(tool().DOCUMENTS)
