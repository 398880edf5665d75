import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner

from edgekd.cli import app
from edgekd.failures import run
from edgekd.values.inspection import Inspection


def inspected(capsys, *arguments):
    """Exit code, stdout and stderr of `edgekd inspect`."""
    code = run(lambda: app(["inspect", *map(str, arguments)], standalone_mode=False))
    return code, *capsys.readouterr()


def test_layers_shapes_and_sums_are_shown(capsys, model):
    code, out, err = inspected(capsys, model(channels=8, layers=2, size=8))
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert ["w0", "Conv", "fp32", "1×3×8×8", "1×8×8×8", "216", f"{64 * 216:,}"] in rows
    assert ["w1", "Conv", "fp32", "1×8×8×8", "1×8×8×8", "576", f"{64 * 576:,}"] in rows
    assert f"MACs: {64 * 792:,} for one inference, 0.0% of them in INT8" in out
    assert "input: image: fp32, N×3×8×8" in out
    assert "image has an open first axis: shapes and MACs below are those for 1×3×8×8" in out
    assert "operators: Conv 2, Relu 2" in out


def test_a_long_table_is_cut_unless_all_is_asked_for(capsys, model):
    path = model(layers=40)
    _, short, _ = inspected(capsys, path)
    assert "w29" in short
    assert "w30" not in short
    assert "and 10 more layers: --all shows them" in short
    _, long, _ = inspected(capsys, path, "--all")
    assert "w39" in long
    assert "--all" not in long


def test_json_is_one_document_with_all_layers(capsys, model):
    code, out, err = inspected(capsys, model(layers=40), "--json")
    assert (code, err) == (0, "")
    found = Inspection.model_validate_json(out)
    assert json.loads(out)["schema_version"] == "edgekd.inspection/1"
    assert [layer.name for layer in found.layers] == [f"w{number}" for number in range(40)]


@pytest.mark.parametrize(
    ("make", "says", "remedy"),
    [
        (lambda path: None, "No such file", ".onnx"),
        (lambda path: path.mkdir(), "is a folder, not a file", ".onnx"),
        (lambda path: os.mkfifo(path), "is a pipe, not a file", ".onnx"),
        (lambda path: path.write_text("just text"), "isn't an ONNX model", "export or copy it again"),
        (lambda path: path.write_bytes(b"\x18\x00\x00\x00ORTM" + bytes(64)), "ONNX Runtime's own format", "made from"),
        (lambda path: path.write_bytes(b""), "isn't an ONNX model", "truncated"),
        (lambda path: path.write_bytes(b"7767517\n1 1\n"), "its weights given.bin are missing", "together"),
    ],
)
def test_what_is_no_model_ends_in_2_with_the_remedy(capsys, tmp_path, make, says, remedy):
    path = tmp_path / "given.onnx"
    make(path)
    code, out, err = inspected(capsys, path)
    assert (code, out) == (2, "")
    assert f"error: {path}: " in err
    assert says in err
    assert remedy in err.partition("hint: ")[2]


@pytest.mark.parametrize("suffix", [".xml", ".engine", ".pt", ".tflite"])
def test_other_formats_are_refused_with_the_remedy(capsys, tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"<?xml version='1.0'?><net/>")
    code, _, err = inspected(capsys, path)
    assert code == 2
    assert f"hint: {suffix} is another format: give the .onnx file" in err


def test_names_that_terminals_or_rich_would_act_on_are_text(capsys, tmp_path):
    values = np.ones((6, 5), np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["[red]x", "w\x1b[31m"], ["y"], "n")],
        "g",
        [helper.make_tensor_value_info("[red]x", TensorProto.FLOAT, [4, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(values, "w\x1b[31m")],
    )
    path = tmp_path / "[bold]m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    _, out, _ = inspected(capsys, path)
    assert "\x1b" not in out
    assert "w\\x1b[31m" in out
    assert "[red]x" in out
    assert "[bold]m.onnx" in out


def test_names_that_would_fill_the_screen_are_cut_but_not_in_json(capsys, tmp_path):
    name = "w" * 1_000_000
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x" * 1_000_000, name], ["y"], "n")],
        "g",
        [helper.make_tensor_value_info("x" * 1_000_000, TensorProto.FLOAT, ["a" * 1_000_000, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.ones((6, 5), np.float32), name)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "m.onnx")
    code, out, _ = inspected(capsys, tmp_path / "m.onnx")
    assert code == 0
    assert "… (1,000,000 characters)" in out
    assert len(out) < 10_000
    _, out, _ = inspected(capsys, tmp_path / "m.onnx", "--json")
    assert Inspection.model_validate_json(out).layers[0].name == name


def test_a_name_that_is_too_long_ends_in_2(capsys):
    code, _, err = inspected(capsys, "x" * 5000)
    assert code == 2
    assert "File name too long" in err


def test_it_needs_no_torch_and_no_runtime(model):
    script = """
import sys
sys.modules["torch"] = sys.modules["onnxruntime"] = None  # as if they weren't installed
sys.argv = ["edgekd", "inspect", sys.argv[1]]
from edgekd.cli import main
main()
"""
    found = subprocess.run([sys.executable, "-c", script, model()], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")


def test_the_page_about_it_names_every_key_of_the_document():
    page = (Path(__file__).parents[2] / "docs" / "inspect.md").read_text()
    assert not [key for key in Inspection.model_fields if f"`{key}`" not in page]


def test_help_states_the_exit_codes():
    assert "Exit codes: 0 shown, 2" in CliRunner().invoke(app, ["inspect", "--help"]).stdout
