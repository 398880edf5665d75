import json

import onnx
import pytest

from edgekd.errors import EdgekdError
from edgekd.measuring.artifact import describe
from edgekd.measuring.document import read_measurement
from edgekd.measuring.stated import feeding, lineage
from edgekd.values import Lineage, Measurement
from edgekd.values.lineage import NetworkOrigin, Quantised

MADE = Lineage(edgekd="1", network=NetworkOrigin(model="naïve", weights="0" * 64))


def stating(path, **entries):
    proto = onnx.load(path)
    onnx.helper.set_model_props(proto, {f"edgekd.{key}": value for key, value in entries.items()})
    onnx.save(proto, path)
    return proto


def test_an_artifact_has_the_lineage_that_its_file_states(model):
    path = model()
    assert describe(path, name="m", runtime="").lineage is None
    stating(path, lineage=MADE.model_dump_json())
    assert describe(path, name="m", runtime="").lineage == MADE


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"schema_version": "edgekd.lineage/9"}', '{"unknown": 1}', "\0"])
def test_metadata_that_nobody_can_read_is_no_lineage_and_no_feeding(model, text):
    proto = stating(model(), lineage=text, preprocessing=text, classes=text)
    assert lineage(proto) is None
    assert feeding(proto) is None


def test_lineage_is_read_back_from_measurements(measurement):
    how = Quantised(images=4, method="min-max", ranges="2" * 64, layers=("a", "b"))
    artifact = measurement().artifact.model_copy(update={"lineage": MADE.model_copy(update={"quantised": how})})
    found = measurement(artifact=artifact)
    assert Measurement.model_validate_json(found.model_dump_json(), strict=True) == found


def test_artifacts_of_earlier_measurements_are_read(measurement, tmp_path):
    path = tmp_path / "m.json"
    stated = {"model": "resnet8", "weights": "0" * 64, "onnx": "1" * 64}
    old = measurement().model_dump_json().replace('"lineage":null', f'"lineage":{json.dumps(stated)}')
    path.write_text(old)
    assert read_measurement(path).artifact.lineage == Lineage(
        network=NetworkOrigin(model="resnet8", weights="0" * 64), onnx="1" * 64
    )
    path.write_text(measurement().model_dump_json().replace('"lineage":null', '"lineage":{}'))
    assert read_measurement(path).artifact.lineage == Lineage()
    path.write_text(measurement().model_dump_json().replace('"lineage":null', '"lineage":{"colour":1}'))
    with pytest.raises(EdgekdError, match=r"lineage\.colour"):
        read_measurement(path)
