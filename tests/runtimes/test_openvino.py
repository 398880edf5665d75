import importlib.util
import os
import subprocess
import sys
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pytest

if importlib.util.find_spec("openvino") is None:
    pytest.skip("openvino isn't installed", allow_module_level=True)

from edgekd.devices.device import connect
from edgekd.runtimes import openvino as runtime

IMAGE = {"image": np.zeros((1, 3, 8, 8), np.float32)}
HINT = "INFERENCE_PRECISION_HINT"


def test_importing_it_reports_nothing_to_anybody(tmp_path):
    """Its model converter would, as soon as openvino is imported."""
    use = f"runpy.run_path({runtime.__file__!r})['describe']()"
    code = f"import sys, runpy; {use}; assert sys.modules['openvino_telemetry'] is None"
    home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **home})
    assert list(tmp_path.iterdir()) == []


def test_another_precision_is_computed_by_other_kernels_and_named_in_the_trace(model, tmp_path):
    path = str(model(batch=1))
    found = {}
    for precision in ("fp32", "bf16"):
        try:
            session = runtime.open(path, precision=precision, trace_in=str(tmp_path))
        except ValueError as e:
            assert precision == "bf16"
            pytest.skip(f"this CPU has no bf16: {e}")
        session.run(IMAGE)
        session.run(IMAGE)
        products = [node for node in session.nodes(1) if node["kind"] == "product"]
        found[precision] = {(node["precision"], node["kernel"].rpartition("_")[2]) for node in products}
    assert found == {"fp32": {("fp32", "f32")}, "bf16": {("bf16", "bf16")}}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"threads": 1000}, r"INFERENCE_NUM_THREADS=1000 was requested, but this device uses \d+"),
        ({"precision": "fp4"}, "precision fp4 is not supported; use fp32, bf16, fp16, int8, .*"),
        ({"provider": "ABACUS"}, r"the device 'ABACUS' is not available here; available: CPU"),
        ({"provider": "CPU", "provider_options": {"ODD": "1"}}, "Unsupported property ODD"),
        ({"provider": "CPU", "provider_options": {HINT: "i8"}}, "Wrong value i8"),
    ],
)
def test_what_it_would_take_otherwise_than_asked_is_refused(model, settings, says):
    with pytest.raises(ValueError, match=says):
        runtime.open(str(model(batch=1)), **settings)


def test_a_precision_that_it_would_replace_is_refused():
    model = SimpleNamespace(get_property=lambda key: SimpleNamespace(to_string=lambda: "bf16"))
    with pytest.raises(ValueError, match="INFERENCE_PRECISION_HINT=f16 was requested, but this device uses bf16"):
        runtime._require(model, {HINT: "f16"})


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes can't be kept on CPUs here")
def test_it_stays_on_the_cpus_that_the_process_was_put_on(model):
    before = os.sched_getaffinity(0)
    try:
        for cpu in before:
            os.sched_setaffinity(0, {cpu})
            runtime.open(str(model(batch=1))).run(IMAGE)
            assert os.sched_getaffinity(0) == {cpu}
    finally:
        os.sched_setaffinity(0, before)


def test_wrong_inputs_are_reported_in_its_words(model):
    with pytest.raises(ValueError, match=r"^Can't set the input tensor .* are incompatible$"):
        runtime.open(str(model(batch=1))).run({"image": np.zeros((1, 3, 9, 9), np.float32)})


def test_cold_inferences_are_taken_out_of_its_averages():
    ran, fused = runtime._library().ProfilingInfo.Status.EXECUTED, runtime._library().ProfilingInfo.Status.NOT_RUN
    averages = iter([(100, 0), (60, 0), (42, 0), (34, 0), (30, 0)])  # of 100, 20, 6, 10 and 14 us

    class Request:
        def infer(self, feeds, share_inputs):
            a, b = next(averages)
            self.profiling_info = [
                SimpleNamespace(
                    node_name=name,
                    node_type="Convolution",
                    exec_type="jit_bf16",
                    status=status,
                    real_time=timedelta(microseconds=us),
                )
                for name, us, status in (("a", a, ran), ("b", b, fused))
            ]
            return {}

    session = runtime.Session(SimpleNamespace(inputs=[], create_infer_request=Request), "CPU", traced=True)
    for _ in range(5):
        session.run({})
    (node,) = session.nodes(2)
    assert node["ms"] == pytest.approx(0.010)
    assert session.nodes(9)[0]["ms"] == pytest.approx(0.014)  # of the last, if all were cold


def test_the_device_reports_what_its_cpu_computes_in():
    """Through the agent, which takes a list for it."""
    with connect("local:") as device:
        found = device.facts.runtimes["openvino"]
    assert {"fp32", "int8"} <= set(found.precisions)
