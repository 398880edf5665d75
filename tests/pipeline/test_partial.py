"""The layers that compute in integers are chosen by what a simulated device takes for whole files."""

from dataclasses import dataclass

import numpy as np
import onnx
import pytest

from edgekd import catalog
from edgekd.deploy.quantise.layers import named
from edgekd.devices.agent import protocol
from edgekd.errors import UnsupportedModelError
from edgekd.gate import budget as budgets
from edgekd.measuring.artifact import describe
from edgekd.pipeline.goal import Goal
from edgekd.pipeline.partial import choose, with_partial
from edgekd.pipeline.written import Calibrating, Graph, Making, write_variants
from edgekd.progress import Silent
from edgekd.run import Run
from edgekd.store import Store
from edgekd.values import MeasuringProtocol, Variant

FP32, PARTIAL = (Variant(runtime="onnxruntime", precision=precision) for precision in ("fp32", "int8-partial"))
CONVERSION_MS = 0.1

GAINS = [(1.0, 0.4), (1.0, 1.05), (1.0, 0.4), (1.0, 3.0), (1.0, 0.95), (1.0, 3.0)]
"""Milliseconds of each layer in floats and in integers: three neighbours together gain more than two apart."""


@dataclass(frozen=True)
class Images:
    """Random ones."""

    count: int = 2

    def __call__(self):
        return np.random.default_rng(0).standard_normal((self.count, 3, 8, 8)).astype("float32")


def integers(path):
    """Of each layer whether it computes in integers, in the order of the graph."""
    graph = onnx.load(path).graph
    made = {output: node.op_type for node in graph.node for output in node.output}
    return [made.get(node.input[1]) == "DequantizeLinear" for node in graph.node if node.op_type == "Conv"]


class Times:
    """A device's, for a chain of layers."""

    def __init__(self, layers):
        self.layers = layers

    def whole(self, path):
        chosen = integers(path)
        changes = sum(a != b for a, b in zip([False, *chosen], [*chosen, False], strict=True))
        return sum(ms[is_integer] for ms, is_integer in zip(self.layers, chosen, strict=True)) + CONVERSION_MS * changes

    def nodes(self, path, _):
        convolutions = [node for node in onnx.load(path).graph.node if node.op_type == "Conv"]
        for node, ms, is_integer in zip(convolutions, self.layers, integers(path), strict=True):
            op = "QLinearConv" if is_integer else "Conv"
            yield protocol.Node(node.output[0], op, "CPUExecutionProvider", ms[is_integer])
        if any(integers(path)):
            yield protocol.Node("to", "QuantizeLinear", "CPUExecutionProvider", CONVERSION_MS)


@pytest.fixture
def searching(tmp_path, model, simulated):
    """What a search needs on a device of which each layer takes so long, with the device."""

    def make(layers, **more):
        times = Times(layers)
        device = simulated(times.whole, **{"nodes": times.nodes} | more)
        goal = Goal(budgets.load("half-latency"), catalog.target("x86-cpu"), device, MeasuringProtocol())
        store = Store(tmp_path / "run")
        path = model("net", layers=len(layers), batch=1)
        graph = Graph(exporter="", artifact=describe(path, name="net", runtime="", precision=""))
        making = Making(Calibrating(graph, Images(), {}, {}), {}, {})
        return (Run(store=store, shared=store, progress=Silent()), goal, "net", making), device

    return make


def test_the_layers_are_those_with_which_the_whole_file_is_fastest(searching):
    """Not all of them, nor those that gain by themselves: two changes cost more than the fifth layer gains, and more
    than the second loses.
    """
    inputs, _ = searching(GAINS)
    found = choose(*inputs, PARTIAL)
    assert found.layers == ("w0", "w1", "w2")
    assert integers(found.artifact.path) == [True] * 3 + [False] * 3
    assert (found.artifact.name, found.artifact.variant) == ("net-onnxruntime-int8-partial", PARTIAL)


def test_it_is_searched_once_and_with_few_files(searching):
    inputs, device = searching(GAINS)
    found = choose(*inputs, PARTIAL)
    started = device.started
    assert started <= 2 * (2 + 8 + 3) + 2 * 4 + 3 * 3  # launches and traces of at most eight sets
    assert choose(*inputs, PARTIAL) == found
    assert device.started == started


@pytest.mark.parametrize(
    ("layers", "why"),
    [
        ([(10.0, 5.0)] * 4, "no set of layers can save more than 0.5%"),
        ([(1.0, 0.99)] * 3 + [(1.0, 1.5)] * 3, "no set of layers can save more than 0.5%"),
        ([(1.0, 0.9), (1.0, 2.0)] * 3, "not clearly faster: with its best"),
    ],
)
def test_where_no_set_is_faster_than_both_files_the_variant_is_refused_with_the_numbers(searching, layers, why):
    inputs, _ = searching(layers)
    with pytest.raises(UnsupportedModelError, match=why):
        choose(*inputs, PARTIAL)


def test_where_the_runtime_does_not_time_its_layers_the_variant_is_refused(searching):
    def nodes(path, ms):
        return [protocol.Node("all", "Graph", "CPUExecutionProvider", ms)]

    inputs, _ = searching(GAINS, nodes=nodes)
    with pytest.raises(UnsupportedModelError, match="onnxruntime doesn't report the times of its layers"):
        choose(*inputs, PARTIAL)


def test_a_disturbed_device_refuses_the_variant_and_ends_no_run(searching):
    inputs, _ = searching(GAINS, throttled=lambda _: True)
    with pytest.raises(UnsupportedModelError, match=r"couldn't be chosen by their times: .*the device throttled"):
        choose(*inputs, PARTIAL)


def test_the_variant_takes_its_place_among_those_that_need_no_search(searching):
    inputs, _ = searching(GAINS)
    run, _, name, making = inputs
    exported = write_variants(run, name, making, (PARTIAL, FP32))
    assert [artifact.variant for artifact in exported.artifacts] == [FP32]
    assert exported.dropped[0].why == "which layers compute in integers is decided by their times on a device"
    found, layers = with_partial(*inputs, exported, slow=())
    assert [artifact.variant for artifact in found.artifacts] == [PARTIAL, FP32]
    assert (found.dropped, layers) == ((), {"onnxruntime": ("w0", "w1", "w2")})
    # with these layers it is written at once, as for a pruned candidate
    again = write_variants(run, name, Making(making.of, layers, {}), (PARTIAL, FP32))
    assert [artifact.id for artifact in again.artifacts] == [artifact.id for artifact in found.artifacts]


def test_it_is_not_searched_where_all_files_of_its_runtime_are_hopelessly_slow(searching):
    inputs, device = searching(GAINS)
    run, _, name, making = inputs
    exported = write_variants(run, name, making, (FP32, PARTIAL))
    found, layers = with_partial(*inputs, exported, slow=("onnxruntime",))
    assert (found.artifacts, layers, device.started) == (exported.artifacts, {}, 0)
    (gone,) = found.dropped
    assert gone.name == "net-onnxruntime-int8-partial"
    assert gone.why == "left out after a quick race: no file for onnxruntime is fast enough"


def test_the_names_are_those_of_the_weights(searching):
    inputs, _ = searching(GAINS)
    path = inputs[3].of.graph.artifact.path
    assert [*named(onnx.load(path).graph)] == [f"w{number}" for number in range(len(GAINS))]
