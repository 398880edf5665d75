import json
from pathlib import Path

import pytest

from edgekd.errors import EdgekdError, StorageError
from edgekd.gate.budget import Budget
from edgekd.gate.judge import judge
from edgekd.measuring.document import read_measurement, write
from edgekd.measuring.statistics import ratio
from edgekd.values import MeasuringProtocol, RuntimeInfo, Variant


@pytest.fixture
def stored(tmp_path, measurement):
    """Writes a measurement's document after `change` was made to it."""

    def store(change=lambda document: None):
        path = tmp_path / "m.json"
        document = measurement().model_dump(mode="json")
        change(document)
        path.write_text(json.dumps(document))
        return path

    return store


def test_what_is_written_is_read_again(tmp_path, measurement):
    write(tmp_path / "folder" / "m.json", measurement())
    assert read_measurement(tmp_path / "folder" / "m.json") == measurement()
    assert [file.name for file in (tmp_path / "folder").iterdir()] == ["m.json"]


def test_lists_and_tables_of_the_protocol_are_read_again(tmp_path, measurement):
    protocol = MeasuringProtocol(affinity=(0, 1), shapes={"image": (1, 3, 8, 8)})
    options = {"provider_options": {"device_id": "0"}}
    found = measurement(protocol=protocol, runtime=measurement().runtime.model_copy(update={"settings": options}))
    write(tmp_path / "m.json", found)
    assert read_measurement(tmp_path / "m.json") == found


def at(path, value):
    def change(document):
        *keys, last = path
        for key in keys:
            document = document[key]
        document[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (at(["schema_version"], "edgekd.measurement/9"), "schema_version 'edgekd.measurement/9'"),
        (at(["schema_version"], "edgekd.verdict/1"), "is not a measurement, but of the kind 'edgekd.verdict/1'"),
        (lambda d: d.pop("schema_version"), "'schema_version' is missing"),
        (lambda d: d.pop("launches"), "'launches' is missing"),
        (at(["latency_ms"], 3), "unknown key 'latency_ms'"),
        (at(["launches", 1, "blocks_ms", 2, 0], float("nan")), "launches.1.blocks_ms.2.0"),
        (at(["launches", 1, "blocks_ms", 2, 0], float("inf")), "launches.1.blocks_ms.2.0"),
        (at(["launches", 0, "blocks_ms", 0, 0], -1.0), "launches.0.blocks_ms.0.0"),
        (at(["launches", 0, "blocks_ms", 0, 0], "1.0"), "launches.0.blocks_ms.0.0"),
        (at(["launches", 0, "blocks_ms", 0], []), "launches.0.blocks_ms.0"),
        (at(["launches", 0, "lod_ms"], 1.0), "unknown key 'launches.0.lod_ms'"),
        (at(["host", "cores"], True), "host.cores"),
        (at(["artifact", "files", 0, "sha256"], 12), "artifact.files.0.sha256"),
        (at(["launches"], "x" * 10_000), "launches"),
        (at(["artifact", "disk_bytes"], -1), "artifact.disk_bytes"),
        (at(["artifact", "transfer_bytes"], 10**400), "artifact.transfer_bytes"),
        (at(["engine_bytes"], -1), "engine_bytes"),
        (at(["launches", 2, "peak_bytes"], 10**400), "launches.2.peak_bytes"),
        (at(["launches", 2, "energy_mj"], -0.5), "launches.2.energy_mj"),
        (at(["protocol", "loop"], "paced"), "a paced loop has a cadence_hz"),
        (at(["accuracy"], {"correct": 9, "images": 8, "dataset": "d", "split": "s"}), "9 of 8 images"),
        (at(["accuracy"], {"correct": -1, "images": 8, "dataset": "d", "split": "s"}), "accuracy.correct"),
    ],
)
def test_a_damaged_field_is_named(stored, change, says):
    path = stored(change)
    with pytest.raises(EdgekdError) as e:
        read_measurement(path)
    assert str(path) in e.value.message
    assert says in e.value.message
    assert len(e.value.message) < 600
    assert e.value.hint


def test_of_many_wrong_samples_not_all_are_kept_as_errors(stored):
    path = stored(at(["launches", 0, "blocks_ms"], [[-1.0] * 50] * 50))
    with pytest.raises(EdgekdError, match=r"launches\.0\.blocks_ms\.0\.0: ") as e:
        read_measurement(path)
    assert e.value.__cause__.error_count() < 10
    assert e.value.hint == "Correct blocks_ms."


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "9" * 5000, "[1, 2]", '"text"', "\x00\xff", "{'a': 1}"])
def test_what_is_no_document_is_reported(tmp_path, text):
    path = tmp_path / "m.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(EdgekdError, match=r"m\.json"):
        read_measurement(path)


def test_a_model_in_a_measurements_place_is_refused_with_what_to_give(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"\x08\x0a\xff")
    with pytest.raises(EdgekdError) as e:
        read_measurement(tmp_path / "model.onnx")
    assert "Give a measurement that `edgekd profile --out` wrote" in e.value.hint
    assert "onnx" not in e.value.hint


def test_a_byte_order_mark_is_no_part_of_a_document(stored):
    path = stored()
    plain = read_measurement(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_measurement(path) == plain


def test_a_truncated_file_is_reported(stored):
    path = stored()
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(EdgekdError, match="isn't JSON") as e:
        read_measurement(path)
    assert "truncated" in e.value.hint


def test_a_missing_file_and_a_folder_are_reported(tmp_path):
    for path in (tmp_path / "missing.json", tmp_path):
        with pytest.raises(StorageError, match=path.name):
            read_measurement(path)


VERSION_1 = Path(__file__).parent / "version1"
"""What `edgekd profile` wrote of two models, on two threads without spinning, before there was a version 2."""


def test_a_document_of_version_1_is_converted():
    old = json.loads((VERSION_1 / "net.json").read_text())
    found = read_measurement(VERSION_1 / "net.json")
    options = {"arena_extend_strategy": "kSameAsRequested"}
    stated = {"threads": 2, "spinning": False, "provider": "CPUExecutionProvider", "provider_options": options}
    assert found.schema_version == "edgekd.measurement/2"
    assert found.artifact.variant == Variant(runtime="onnxruntime", precision="fp32", settings=stated)
    assert found.runtime == RuntimeInfo(
        name="onnxruntime", version="1.32.0", provider="CPUExecutionProvider", settings=stated
    )
    assert [file.model_dump() for file in found.artifact.files] == [
        {"path": "net.onnx", "sha256": old["artifact"]["sha256"]}
    ]
    assert found.host.model_dump(mode="json") == {
        **{k: v for k, v in old["environment"].items() if k not in ("runtime", "runtime_version", "provider")},
        "emulated": False,
        "board": None,
        "power_mode": None,
        "clocks_locked": None,
    }
    assert found.protocol.batch == 2
    assert [launch.model_dump(mode="json", exclude_unset=True) for launch in found.launches] == old["launches"]
    assert found.trace is not None
    assert len(found.trace.nodes) == len(old["trace"]["nodes"])


def test_documents_of_version_1_compare_and_are_judged_as_ever():
    small, net = (read_measurement(VERSION_1 / f"{name}.json") for name in ("small", "net"))
    assert 0.2 < ratio(small, net).estimate < 0.7
    budget = Budget.model_validate({"name": "b", "conditions": {"threads": 2}, "latency": {"limit_ms": 1000}})
    assert judge(budget, small, net).status == "pass"


def test_a_damaged_document_of_version_1_is_reported(tmp_path):
    document = json.loads((VERSION_1 / "net.json").read_text())
    document["environment"]["cores"] = True
    (tmp_path / "m.json").write_text(json.dumps(document))
    with pytest.raises(EdgekdError, match=r"environment\.cores"):
        read_measurement(tmp_path / "m.json")


def test_version_1_knows_no_key_of_version_2(tmp_path):
    document = json.loads((VERSION_1 / "net.json").read_text()) | {"retried": []}
    (tmp_path / "m.json").write_text(json.dumps(document))
    with pytest.raises(EdgekdError, match="unknown key 'retried'"):
        read_measurement(tmp_path / "m.json")
