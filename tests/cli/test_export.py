"""`edgekd export MODEL.onnx`: a given file is checked for TensorRT."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekd import catalog, cli
from edgekd.failures import run as ending
from edgekd.pipeline import export_file


@pytest.fixture
def model(tmp_path):
    def make(zero=None, ir=8):
        graph = helper.make_graph(
            [helper.make_node("Conv", ["x" if zero is None else "d", "w"], ["y"], "conv")],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 8, 8])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, 6, 6])],
            [numpy_helper.from_array(np.ones((8, 4, 3, 3), np.float32), "w")],
        )
        if zero is not None:
            graph.initializer.extend(
                [numpy_helper.from_array(np.float32(0.1), "s"), numpy_helper.from_array(zero, "z")]
            )
            graph.node.insert(0, helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "quantise"))
            graph.node.insert(1, helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], "dequantise"))
        path = tmp_path / "net.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=ir), path)
        return path

    return make


@pytest.fixture
def export(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*options):
        monkeypatch.setattr("sys.argv", ["edgekd", "export", *map(str, options)])
        return ending(lambda: cli.app(standalone_mode=False)), *capsys.readouterr()

    return run


def test_a_float_file_is_checked_and_made_fp16(export, model, tmp_path):
    code, out, _ = export(model(), "--target", "jetson", "--json")
    found = json.loads(out)
    assert code == 0
    given, half = found["exported"]
    assert given["artifact"]["files"][0]["path"] == str(tmp_path / "net.onnx")
    assert given["findings"] == half["findings"] == []
    assert given["parsed"]["status"] in ("accepted", "not judged")
    assert found["folder"] == "exports/net-jetson-orin-nano"
    written = onnx.load(tmp_path / found["folder"] / half["artifact"]["files"][0]["path"])
    assert written.graph.initializer[0].data_type == TensorProto.FLOAT16
    assert "give --calibrate IMAGES, or --model, --weights and --data" in found["dropped"][0]["why"]


def test_a_tensorrt_that_takes_the_file_itself_for_fp16_leaves_it_as_it_is(export, model, tmp_path):
    """TensorRT 8 is told by a flag."""
    given = model()
    before = given.read_bytes()
    code, out, _ = export(given, "--target", "jetson-xavier-nx", "--json")
    found = json.loads(out)
    assert code == 0
    assert given.read_bytes() == before
    assert [one["artifact"]["name"] for one in found["exported"]] == ["net"]
    assert any(gone["why"] == "it is the given file, built with fp16 (trtexec --fp16)" for gone in found["dropped"])


def test_a_file_in_int8_is_not_asked_to_be_made_int8(export, model):
    _, out, _ = export(model(np.int8(0)), "--target", "jetson", "--json")
    assert not [gone["why"] for gone in json.loads(out)["dropped"] if "int8" in gone["name"]]


def test_without_nvidias_parser_none_is_announced(export, model, monkeypatch):
    monkeypatch.setattr(export_file, "is_installed", lambda: False)
    _, _, err = export(model(), "--target", "jetson")
    assert "asking NVIDIA's parser" not in err


def test_findings_are_shown_with_remedies_and_errors_end_with_2(export, model):
    code, out, _ = export(model(np.uint8(0)), "--target", "jetson")
    assert code == 2
    assert "error: net: TensorRT reads U8 as S8" in out
    assert "QInt8 for activations and weights" in out
    assert "1 error" in out
    assert "accepted by NVIDIA's parser" not in out


def test_a_given_file_is_shown_where_it_is(export, model, tmp_path):
    model()
    code, out, _ = export("net.onnx", "--target", "jetson", "--out", "here")
    assert code == 0
    assert str(tmp_path / "net.onnx") in out
    assert str(tmp_path / "net-") not in out


def test_warnings_alone_end_with_0(export, model):
    code, out, _ = export(model(np.int8(0), ir=11), "--target", "jetson", "--out", "here")
    assert code == 0
    assert "2 warnings" in out
    assert "files: here" in out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--target", "x86-cpu"], "has no TensorRT"),
        (["--target", "x86-cpu"], "hint: Give --calibrate IMAGES"),
        ([], "no target"),
        (["--target", "jetson", "--model", "resnet8"], "takes no option of a network (model)"),
        (["--target", "jetson", "--max-drop", "2"], "--max-drop without --calibrate"),
        (["--target", "jetson", "--device", "local:"], "error: this machine (x86_64 linux) is not a device of target"),
    ],
)
def test_what_cannot_be_meant_is_refused(export, model, options, said):
    code, out, err = export(model(), *options)
    assert (code in (2, 3), out) == (True, "")
    assert said in err


def test_a_device_without_tensorrt_is_refused(export, model, tmp_path):
    text = (catalog.folder("targets") / "jetson-orin-nano.toml").read_text()
    lines = [line for line in text.splitlines() if not line.startswith(("compatible", "family"))]
    (tmp_path / "here.toml").write_text("\n".join(lines).replace('"aarch64"', '"x86_64"'))
    code, out, err = export(model(), "--target", tmp_path / "here.toml", "--device", "local:")
    assert (code, out) == (5, "")
    assert "error: this machine: tensorrt is not on the device: " in err
    assert "hint: Leave --device out" in err


def test_what_is_no_model_is_refused(export, tmp_path):
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    for name in ("junk.onnx", "missing.onnx"):
        code, _, err = export(name, "--target", "jetson")
        assert code == 2
        assert name in err
