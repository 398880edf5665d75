"""ONNX Runtime's tools for phones, in a process of their own."""

import json
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from edgekd.deploy.mobile.convert import convert
from edgekd.errors import UnsupportedModelError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def outputs(path, image):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image})[0], session.get_modelmeta().custom_metadata_map


def test_the_new_file_computes_the_same_and_a_build_for_it_is_described(model, folder):
    path = model(batch=1)
    proto = onnx.load(path)
    onnx.helper.set_model_props(proto, {"edgekd.classes": '["a"]'})
    onnx.save(proto, path)
    before = path.read_bytes()
    made = convert(path, folder)
    assert sorted(file.name for file in folder.iterdir()) == sorted(
        file.name for file in (made.ort, made.config, made.report)
    )
    assert path.read_bytes() == before
    assert made.made_by == f"onnxruntime {onnxruntime.__version__}"
    image = np.random.default_rng(0).standard_normal((1, 3, 8, 8), np.float32)
    (expected, _), (found, metadata) = outputs(path, image), outputs(made.ort, image)
    assert np.abs(found - expected).max() < 1e-5
    assert metadata == {"edgekd.classes": '["a"]'}
    assert made.config.name == "model.required_operators_and_types.config"
    assert made.config.read_text() == "# Generated from model.ort\ncom.microsoft;1;FusedConv\n"
    assert "Checking NNAPI" in made.report.read_text()
    (found,) = made.accelerators
    assert (found.provider, found.suits, found.nodes, found.supported, found.partitions) == ("NNAPI", "yes", 4, 4, 1)
    for file in (made.config, made.report):
        assert str(path.parent) not in file.read_text()


def test_pytorch_is_not_imported_for_it(model, folder):
    program = (
        "import sys; from edgekd.deploy.mobile import worker; worker.main(); "
        "sys.exit(any(name.startswith('torch.') for name in sys.modules))"
    )
    asked = json.dumps({"path": str(model(batch=1)), "folder": str(folder)})
    ran = subprocess.run(
        [sys.executable, "-c", program], input=f"{asked}\n", capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "ort" in json.loads(ran.stdout)


def test_what_an_accelerator_does_not_take_is_named(folder, one_node):
    path = one_node("odd", "Mod", [helper.make_tensor_value_info(name, TensorProto.INT64, [1]) for name in "ab"])
    (found,) = convert(path, folder).accelerators
    assert (found.suits, found.nodes, found.supported, found.unsupported) == ("no", 1, 0, ("ai.onnx:Mod",))


def test_what_cannot_be_converted_is_an_error_with_the_reason(folder, one_node):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    path = one_node("odd", "Thing", [x], domain="made.up")
    with pytest.raises(
        UnsupportedModelError, match=r"odd\.onnx: ONNX Runtime's tools for phones can't convert it: .*Thing"
    ):
        convert(path, folder)


@pytest.mark.parametrize(
    ("does", "timeout_s", "says"),
    [
        ("import time; time.sleep(60)", 1, "no answer within"),
        ("import os; os.abort()", 60, "ended with signal 6"),
        ("print('{}', flush=True); input()", 60, "'ort'"),
    ],
)
def test_tools_that_hang_crash_or_answer_nonsense_are_an_error(folder, model, does, timeout_s, says):
    with pytest.raises(UnsupportedModelError, match=says) as e:
        convert(model(), folder, command=[sys.executable, "-c", does], timeout_s=timeout_s)
    assert e.value.hint == "Use the ONNX file in the app."
