import json

import pytest

from edgekd.files import sha256
from edgekd.measuring.manifests import beside
from edgekd.values import Lineage, Manifest, Port, Preprocessing

HOW = Preprocessing(height=8, width=8, colour="rgb", mean=(0.5,) * 3, std=(0.5,) * 3)
PORT = Port(name="image", dtype="float32", shape=(1, 3, 8, 8), layout="NCHW")


@pytest.fixture
def written(model):
    """Writes a model's manifest; returns the model's path."""
    path = model()

    def write(name="model.json", **changes):
        stated = {"file": path.name, "sha256": sha256(path), "precision": "fp32", "runtime": "onnxruntime"}
        more = {
            "preprocessing": HOW,
            "classes": ("a", "b"),
            "input": PORT,
            "output": PORT,
            "lineage": Lineage(edgekd="1"),
        }
        document = Manifest(**{**stated, **more}).model_dump(mode="json")
        text = json.dumps({key: value for key, value in {**document, **changes}.items() if value != "left out"})
        path.with_name(name).write_text(text)
        return path

    return write


def found(path):
    return beside(path, sha256(path))


def test_the_manifest_of_a_file_is_found_by_its_name(written):
    (one,) = found(written())
    assert (one.file, one.problem, one.manifest.lineage) == ("model.json", None, Lineage(edgekd="1"))


def test_manifests_of_other_variants_of_the_file_are_found(written):
    written("model-openvino-bf16.json", precision="bf16", runtime="openvino")
    written("other.json", file="other.onnx")
    path = written()
    (path.parent / "notes.json").write_text('{"edgekd.manifest/": 1}')
    (path.parent / "broken.json").write_text('{"edgekd.manifest/')
    (path.parent / "folder.json").mkdir()
    assert [one.file for one in found(path)] == ["model.json", "model-openvino-bf16.json"]


def test_a_manifest_of_another_file_is_not_believed(written):
    (one,) = found(written(sha256="0" * 64))
    assert one.manifest is None
    assert "another SHA-256" in one.problem


def test_a_file_that_was_changed_since_is_noticed(written):
    path = written()
    path.write_bytes(path.read_bytes() + b"\x72\x00")
    assert "another SHA-256" in found(path)[0].problem


def test_the_version_before_is_read(written):
    new = ("lineage", "further_files", "disk_bytes", "recipe", "recipe_sha256", "proof", "measured")
    (one,) = found(written(schema_version="edgekd.manifest/1", **dict.fromkeys(new, "left out")))
    assert (one.manifest.classes, one.manifest.lineage) == (("a", "b"), None)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"schema_version": "edgekd.manifest/9"}, "schema_version 'edgekd.manifest/9' is not supported"),
        ({"classes": 7}, "model.json: classes"),
        ({"extra": 7}, "unknown key 'extra'"),
    ],
)
def test_what_cannot_be_read_is_said(written, changes, says):
    (one,) = found(written(**changes))
    assert one.manifest is None
    assert says in one.problem


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"null", b"[" * 100_000, b'"edgekd.manifest/2"'])
def test_another_json_file_of_that_name_is_no_manifest(model, content):
    path = model()
    path.with_suffix(".json").write_bytes(content)
    assert found(path) == ()
