"""An export's folder: what an earlier export made and this one doesn't is removed, and nothing else."""

import json
from pathlib import Path

import pytest

from edgekd.pipeline.export_folder import write_exports
from edgekd.values import Artifact, File, Variant
from edgekd.values.exported import Exported, Exports


@pytest.fixture
def write(tmp_path):
    """Writes the files and the list of an export of these names, the first of which was given."""

    def made(given, *names, measured=()):
        paths = [given, *(Path(f"{name}.onnx") for name in names)]
        exported = []
        for path in paths:
            (tmp_path / path).write_text(path.stem)
            artifact = Artifact(
                name=path.stem,
                variant=Variant(runtime="onnxruntime", precision="fp32"),
                files=(File(path=path, sha256="0" * 64),),
                disk_bytes=1,
                transfer_bytes=1,
            )
            exported.append(Exported(artifact=artifact, given=path == given))
        (tmp_path / "measured").mkdir(exist_ok=True)
        further = [f"measured/{name}.json" for name in measured]
        for name in further:
            (tmp_path / name).write_text("{}")
        exports = Exports(target="x86-cpu", device=None, folder=str(tmp_path), exported=tuple(exported), dropped=())
        write_exports(exports, tmp_path, further)

    return made


def left(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_what_is_not_made_any_more_is_removed_with_its_measurement(write, tmp_path):
    given = tmp_path / "net.onnx"
    write(given, "net-fp32", "net-int8", measured=("net", "net-fp32", "net-int8"))
    (tmp_path / "mine.onnx").write_text("the user's")
    write(given, "net-fp32", measured=("net",))
    assert left(tmp_path) == ["export.json", "measured/net.json", "mine.onnx", "net-fp32.onnx", "net.onnx"]


def test_a_file_that_an_earlier_export_made_stays_where_it_is_given_now(write, tmp_path):
    write(tmp_path / "net.onnx", "net-fp32")
    write(tmp_path / "net-fp32.onnx", "net-fp32-int8")
    assert left(tmp_path) == ["export.json", "net-fp32-int8.onnx", "net-fp32.onnx", "net.onnx"]


def test_a_list_that_cannot_be_read_removes_nothing(write, tmp_path):
    (tmp_path / "net-int8.onnx").write_text("of another version")
    (tmp_path / "export.json").write_text(json.dumps({"files": ["net-int8.onnx"]}))
    write(tmp_path / "net.onnx", "net-fp32")
    assert "net-int8.onnx" in left(tmp_path)
