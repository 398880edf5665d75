import gzip
import hashlib

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgekd.errors import EdgekdError, StorageError, UnsupportedModelError
from edgekd.measuring.artifact import describe


def described(path, **changes):
    return describe(path, name="net", runtime="onnxruntime", **changes)


def test_a_file_has_its_hash_and_sizes(model):
    path = model(channels=64)
    found = described(path, precision="fp32")
    content = path.read_bytes()
    assert found.files[0].sha256 == hashlib.sha256(content).hexdigest()
    assert found.disk_bytes == len(content)
    # gzip writes the time and name of the file too: a few bytes
    assert found.transfer_bytes == pytest.approx(len(gzip.compress(content, 6)), abs=30)
    assert (found.name, found.file) == ("net", "model.onnx")


def test_external_data_counts(model):
    path = model(external=True)
    data = path.with_name("model.data")
    found = described(path)
    assert found.disk_bytes == path.stat().st_size + data.stat().st_size > data.stat().st_size > 0
    data.write_bytes(data.read_bytes()[:-1] + b"x")
    assert [file.path for file in found.files] == [path, data]
    assert described(path).id != found.id


def test_missing_external_data_is_reported(model):
    path = model(external=True)
    path.with_name("model.data").unlink()
    with pytest.raises(StorageError, match=r"model\.data is missing"):
        described(path)


@pytest.mark.parametrize("location", ["../elsewhere.data", "/etc/hostname"])
def test_data_outside_the_models_folder_is_refused(model, location):
    path = model(external=True)
    proto = onnx.load(path, load_external_data=False)
    for tensor in proto.graph.initializer:
        next(entry for entry in tensor.external_data if entry.key == "location").value = location
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(UnsupportedModelError, match="outside its folder"):
        described(path)


def test_precision_is_read_from_the_graph(model, tmp_path, one_node):
    assert described(model()).precision == "fp32"
    assert described(model(), precision="told").precision == "told"
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    quantised = one_node("q", "DynamicQuantizeLinear", [x])
    proto = onnx.load(quantised)
    proto.graph.node[0].op_type = "QuantizeLinear"
    onnx.save(proto, quantised)
    assert described(quantised).precision == "int8"
    half = onnx.load(model("half"))
    for tensor in half.graph.initializer:
        tensor.CopyFrom(
            onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor).astype(np.float16), tensor.name)
        )
    onnx.save(half, tmp_path / "half.onnx")
    assert described(tmp_path / "half.onnx").precision == "fp16"


def constants(kind, within=""):
    """A model whose weights are held by Constant nodes, in a branch if asked."""
    x, y = (helper.make_tensor_value_info(name, kind, [4, 4]) for name in "xy")
    weight = onnx.numpy_helper.from_array(np.zeros((4, 4), helper.tensor_dtype_to_np_dtype(kind)))
    nodes = [helper.make_node("Constant", [], ["w"], value=weight), helper.make_node("MatMul", ["x", "w"], ["y"])]
    if within == "branch":
        branch = helper.make_graph(nodes, "branch", [], [y])
        yes = helper.make_node("Constant", [], ["yes"], value=onnx.numpy_helper.from_array(np.array(True)))
        nodes = [yes, helper.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch)]
    return helper.make_model(helper.make_graph(nodes, "g", [x], [y]))


@pytest.mark.parametrize("within", ["", "branch"])
@pytest.mark.parametrize(("kind", "precision"), [(TensorProto.FLOAT, "fp32"), (TensorProto.FLOAT16, "fp16")])
def test_weights_in_constant_nodes_count(tmp_path, kind, precision, within):
    onnx.save(constants(kind, within), tmp_path / "c.onnx")
    assert described(tmp_path / "c.onnx").precision == precision


def test_a_branch_that_quantises_is_int8(tmp_path):
    proto = constants(TensorProto.FLOAT, "branch")
    branch = next(a.g for node in proto.graph.node for a in node.attribute if a.name == "else_branch")
    branch.node.append(helper.make_node("QuantizeLinear", ["y", "s"], ["q"]))
    onnx.save(proto, tmp_path / "q.onnx")
    assert described(tmp_path / "q.onnx").precision == "int8"


@pytest.mark.parametrize("name", ["m.json", "m.onnxtxt", "m.textproto", "m.npz"])
def test_a_file_is_read_as_a_model_whatever_it_is_called(tmp_path, model, name):
    path = tmp_path / name
    path.write_text('{"schema_version": "edgekd.measurement/1"}')
    with pytest.raises(UnsupportedModelError, match="isn't an ONNX model"):
        described(path)
    path.write_bytes(model().read_bytes())
    assert described(path).precision == "fp32"


@pytest.mark.parametrize("content", [b"", b"no model", b"\x00" * 100, b'{"a": 1}'])
def test_what_is_no_model_is_reported(tmp_path, content):
    path = tmp_path / "odd.onnx"
    path.write_bytes(content)
    with pytest.raises(UnsupportedModelError, match="isn't an ONNX model") as e:
        described(path)
    assert "truncated" in e.value.hint


def test_a_file_in_the_format_of_onnxruntime_is_named_and_so_is_one_that_only_looks_like_it(tmp_path, model):
    path = tmp_path / "net.ort"
    path.write_bytes(b"\x14\0\0\0ORTM" + b"\0" * 90)
    with pytest.raises(UnsupportedModelError, match="is in ONNX Runtime's own format") as e:
        described(path)
    assert e.value.hint == "Give the .onnx file that it was made from."
    with pytest.raises(UnsupportedModelError, match=r"is an ONNX model, and \.ort is") as e:
        described(model().rename(path))
    assert e.value.hint == "Rename it to .onnx."


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_truncated_model_is_reported(model, kept):
    path = model()
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(UnsupportedModelError):
        described(path)


def test_a_missing_file_and_a_folder_are_reported(tmp_path):
    for path in (tmp_path / "missing.onnx", tmp_path):
        with pytest.raises(EdgekdError, match=path.name):
            described(path)
