import onnx
from onnx import TensorProto, helper

from edgekd.measuring.artifact import describe


def test_a_file_needs_its_opset_its_ir_version_and_its_operators(tmp_path):
    """Also those of functions and subgraphs; a function of its own is none."""
    branch = helper.make_graph([helper.make_node("Exp", ["x"], ["b"])], "b", [], [value("b")])
    twice = helper.make_function("own", "Twice", ["a"], ["t"], [helper.make_node("Add", ["a", "a"], ["t"])],
                                 [helper.make_opsetid("", 19)])  # fmt: skip
    nodes = [
        helper.make_node("Twice", ["x"], ["t"], domain="own"),
        helper.make_node("If", ["c"], ["i"], then_branch=branch, else_branch=branch),
        helper.make_node("Identity", ["i"], ["j"]),
        helper.make_node("Gelu", ["j"], ["y"], domain="com.microsoft"),
        helper.make_node("Unheard", ["y"], ["z"]),
    ]
    condition = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    graph = helper.make_graph(nodes, "g", [value("x"), condition], [value("z")])
    opsets = [
        helper.make_opsetid(domain, version) for domain, version in (("own", 1), ("ai.onnx", 19), ("com.microsoft", 1))
    ]
    model = helper.make_model(graph, opset_imports=opsets, functions=[twice], ir_version=9)
    onnx.save(model, tmp_path / "m.onnx")
    needs = describe(tmp_path / "m.onnx", name="m", runtime="onnxruntime").needs
    assert (needs.opset, needs.ir_version) == (19, 9)
    assert needs.operators == ("Add-14", "Exp-13", "Identity-19", "If-19", "Unheard", "com.microsoft:Gelu")


def value(name):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1])
