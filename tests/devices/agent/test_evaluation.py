"""Outputs of artifacts for many inputs, through a real agent."""

import os
import sys
from types import SimpleNamespace

import evaluation
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgekd.devices.agent.protocol import Opening
from edgekd.devices.client import Agent
from edgekd.devices.shipped import AGENT, runtime_file
from edgekd.worker import Worker, WorkerError

OPTIONS = {"threads": 1}


def with_runtime(path):
    agent = Agent(Worker([sys.executable, str(AGENT), "--runtime", str(path)]), "here")
    agent.describe(60)
    return agent


@pytest.fixture(scope="module")
def agent():
    with with_runtime(runtime_file("onnxruntime")) as agent:
        yield agent


@pytest.fixture
def scaling(tmp_path):
    """A model that multiplies a vector of two by a number."""

    def write(by, dtype=TensorProto.FLOAT):
        factor = helper.make_tensor("by", dtype, [1], [by])
        ports = [helper.make_tensor_value_info(name, dtype, [1, 2]) for name in ("x", "y")]
        graph = helper.make_graph([helper.make_node("Mul", ["x", "by"], ["y"])], "g", ports[:1], ports[1:], [factor])
        path = tmp_path / f"times{by}.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
        return str(path)

    return write


def test_outputs_come_in_the_order_of_the_inputs_batch_by_batch(agent, scaling):
    batches = [np.arange(2 * n, dtype=np.float32).reshape(n, 2) for n in (7, 1, 300)]
    found = list(agent.evaluate(scaling(3.0), OPTIONS, iter(batches)))
    assert [one.tolist() for one in found] == [(3 * batch).tolist() for batch in batches]
    assert list(agent.evaluate(scaling(3.0), OPTIONS, [])) == []


def test_arrays_of_any_layout_and_type_arrive(agent, scaling):
    across = np.arange(8, dtype=">f4").reshape(2, 4).T
    (found,) = agent.evaluate(scaling(2.0), OPTIONS, [across])
    assert (found == 2 * across).all()
    assert found.dtype == np.float32
    whole = np.arange(8, dtype=np.int64).reshape(4, 2)
    (found,) = agent.evaluate(scaling(5, TensorProto.INT64), OPTIONS, [whole])
    assert (found.dtype, found.tolist()) == (np.int64, (5 * whole).tolist())


def test_another_artifact_takes_the_place_of_the_last_one(agent, scaling):
    ones = np.ones((1, 2), np.float32)
    assert [next(agent.evaluate(scaling(by), OPTIONS, [ones]))[0, 0] for by in (2.0, 3.0, 2.0)] == [2, 3, 2]


def test_what_the_runtime_refuses_is_reported_and_the_agent_lives(agent, scaling, one_node):
    with pytest.raises(WorkerError, match="Load model"):
        list(agent.evaluate("/no/such.onnx", OPTIONS, [np.ones((1, 2), np.float32)]))
    with pytest.raises(WorkerError, match="Got invalid dimensions"):
        list(agent.evaluate(scaling(2.0), OPTIONS, [np.ones((1, 3), np.float32)]))
    two = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in ("a", "b")]
    with pytest.raises(WorkerError, match=r"has 2 inputs \(a, b\)"):
        list(agent.evaluate(str(one_node("two", "Add", two)), OPTIONS, [np.ones((1, 2), np.float32)]))
    assert next(agent.evaluate(scaling(2.0), OPTIONS, [np.ones((1, 2), np.float32)])).tolist() == [[2, 2]]


ONE_BUFFER = """
import numpy
formats = ()
builds = False
def describe():
    return {"version": "1", "provider": "none"}
class open:
    provider = "none"
    output = numpy.zeros((1, 2), "float32")
    def __init__(self, path):
        pass
    def inputs(self):
        return [{"name": "x", "shape": [1, 2], "dtype": "float32"}]
    def run(self, feeds):
        self.output[:] = feeds["x"]
        return [self.output]
"""


OPENED = """
import os, numpy
formats = ()
builds = False
def describe():
    return {"version": "1", "provider": "none"}
class open:
    provider = "none"
    def __init__(self, path):
        with __builtins__["open"](path, "a") as file:
            file.write("opened ")
    def inputs(self):
        return [{"name": "x", "shape": [1, 2], "dtype": "float32"}]
    def run(self, feeds):
        return [feeds["x"]]
"""


def test_an_accelerator_has_one_session_and_cpus_one_each(tmp_path):
    inputs = np.arange(100, dtype=np.float32).reshape(50, 2)
    for name, more in (("cpu", ""), ("accelerator", "    def compute(self):\n        pass\n")):
        (tmp_path / f"{name}.py").write_text(OPENED + more)
        with with_runtime(tmp_path / f"{name}.py") as agent:
            assert (next(agent.evaluate(str(tmp_path / name), {}, [inputs])) == inputs).all()
    assert (tmp_path / "accelerator").read_text().split() == ["opened"]
    assert len((tmp_path / "cpu").read_text().split()) == len(os.sched_getaffinity(0))


def test_a_runtime_may_give_its_own_memory(tmp_path, monkeypatch):
    runtime = tmp_path / "own.py"
    runtime.write_text(ONE_BUFFER)
    inputs = np.arange(100, dtype=np.float32).reshape(50, 2)
    with with_runtime(runtime) as agent:
        # one session at a time: this runtime's share their memory
        agent.load(Opening("x", affinity=(0,)))
        assert (next(agent.evaluate("x", {}, [inputs])) == inputs).all()


@pytest.mark.parametrize(
    ("taken", "room", "sessions"), [(300, 350, 1), (100, 1000, 4), (100, 500, 3), (None, 1, 4), (0, 1, 4), (1, None, 4)]
)
def test_no_more_sessions_are_opened_than_the_memory_holds(monkeypatch, taken, room, sessions):
    monkeypatch.setattr(evaluation.system, "cores", lambda: 4)
    monkeypatch.setattr(evaluation.system, "mark_memory", lambda: 0)
    monkeypatch.setattr(evaluation.system, "peak_bytes", lambda mark: taken)
    monkeypatch.setattr(evaluation.system, "available_bytes", lambda: room)
    session = SimpleNamespace(inputs=lambda: [{"name": "x"}])
    opened = evaluation.Evaluation(SimpleNamespace(open=lambda path: session), "x", {}, ())
    opened.close()
    assert len(opened._sessions) == sessions
