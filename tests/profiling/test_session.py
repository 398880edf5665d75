import os
import signal

import pytest
from onnx import TensorProto, helper

from edgekd import catalog
from edgekd.devices.connect import connect
from edgekd.errors import DeviceError, MeasurementError, UnsupportedModelError
from edgekd.profiling import launch
from edgekd.profiling.artifact import describe
from edgekd.profiling.session import environment, measure
from edgekd.profiling.statistics import paired_ratios, ratio
from edgekd.progress import Silent
from edgekd.schema import Measuring

QUICK = Measuring(launches=2, seconds=0.06, block_seconds=0.01, warmup_seconds=0.05)


class Watched:
    """The local device, noting each agent process it starts."""

    def __init__(self):
        self.device = connect("local:")
        self.agents = []

    url = "local:"

    def put(self, path):
        return self.device.put(path)

    def start(self, runtime):
        self.agents.append(self.device.start(runtime))
        return self.agents[-1]


class Meddling(Silent):
    """Does something to the device once measuring has begun."""

    def __init__(self, meddle):
        self.meddle = meddle

    def advance(self, done, total, detail=""):
        if done == 1:
            self.meddle()


def measured(*paths, device=None, settings=QUICK, target="x86-cpu", progress=None):
    artifacts = [(describe(path, name=path.stem, runtime="onnxruntime"), path) for path in paths]
    return measure(
        artifacts,
        device=device or Watched(),
        target=catalog.target(target),
        settings=settings,
        progress=progress or Silent(),
    )


def test_artifacts_are_measured_side_by_side_in_fresh_processes(model):
    device = Watched()
    small, large = measured(model("small"), model("large", layers=12, channels=32), device=device)
    assert len({agent._process.pid for agent in device.agents}) == 4  # 2 launches of 2 artifacts
    assert all(agent._process.poll() == 0 for agent in device.agents)
    assert small.session == large.session
    for found in (small, large):
        assert found.on_target
        assert found.invalid == ()
        assert found.protocol == QUICK
        assert found.environment == environment(device.device, "onnxruntime")
        assert len(found.launches) == 2
        for one in found.launches:
            assert len(one.blocks_ms) >= 3
            assert one.load_ms > 0
            assert one.first_ms > 0
            assert one.warmup_ms
            assert one.peak_bytes > 0
    assert len(paired_ratios(large, small)) == 2
    assert ratio(large, small).low > 2  # it computes some 60 times as much


def test_turns_are_shuffled_every_round(model):
    turns = []

    class Listening(Watched):
        def start(self, runtime):
            agent, number = super().start(runtime), len(self.agents) - 1
            ask = agent.ask

            def listened(request, timeout_s):
                turns.extend([number] if request["do"] == "block" else [])
                return ask(request, timeout_s)

            agent.ask = listened
            return agent

    measured(
        model("a"), model("b"), device=Listening(), settings=QUICK.model_copy(update={"launches": 1, "seconds": 0.2})
    )
    rounds = [tuple(turns[i : i + 2]) for i in range(0, len(turns), 2)]
    assert len(rounds) >= 5
    assert set(rounds) == {(0, 1), (1, 0)}


def test_sessions_are_told_apart(model):
    quick = QUICK.model_copy(update={"launches": 1})
    (one,), (two,) = (measured(model(), settings=quick) for _ in range(2))
    assert one.session != two.session


def test_a_slow_model_beside_a_fast_one_gets_equally_long_turns(model):
    fast, slow = measured(model("fast"), model("slow", layers=30, channels=64, size=64))
    for one, other in zip(fast.launches, slow.launches, strict=True):
        assert len(one.blocks_ms) == len(other.blocks_ms) <= 6
        assert sum(map(len, other.blocks_ms)) < 20
        assert min(map(sum, one.blocks_ms)) > min(map(min, other.blocks_ms)) / 2


def test_even_one_launch_has_enough_blocks_to_compare(model):
    settings = QUICK.model_copy(update={"launches": 1, "seconds": 0.01})
    a, b = measured(model("a"), model("b"), settings=settings)
    assert len(paired_ratios(a, b)[0]) == 5


def test_a_fixed_batch_is_declared(model):
    (found,) = measured(model(batch=4), settings=QUICK.model_copy(update={"launches": 1}))
    assert found.protocol.batch == 4


def test_another_kind_of_device_is_not_the_target(model):
    (found,) = measured(model(), target="jetson-orin-nano", settings=QUICK.model_copy(update={"launches": 1}))
    assert not found.on_target


def test_an_operator_the_runtime_lacks_is_told(one_node):
    unknown = one_node("odd", "Oddity", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])], domain="made.up")
    with pytest.raises(UnsupportedModelError, match=r"odd\.onnx: onnxruntime can't load it: .*Oddity") as e:
        measured(unknown)
    assert "operators" in e.value.hint


def test_a_model_that_fails_in_its_first_inference_is_told(one_node):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])
    shape = helper.make_tensor_value_info("shape", TensorProto.INT64, [3])
    with pytest.raises(UnsupportedModelError, match=r"fails\.onnx: onnxruntime can't (run|load) it"):
        measured(one_node("fails", "Reshape", [x, shape]))


def test_free_axes_are_told_with_the_remedy(model):
    with pytest.raises(UnsupportedModelError, match="'height'") as e:
        measured(model(axis="height"))
    assert "fixed" in e.value.hint


def test_a_runtime_that_crashes_is_told(model):
    device = Watched()
    crash = Meddling(lambda: os.kill(device.agents[-1]._process.pid, signal.SIGSEGV))
    with pytest.raises(MeasurementError, match=r"model\.onnx: onnxruntime failed in 'block': ended with signal 11"):
        measured(model(), device=device, progress=crash)


def test_a_runtime_that_hangs_is_killed_at_its_time_limit(model, monkeypatch):
    monkeypatch.setattr(launch, "_SLACK_S", 1)
    device = Watched()
    hang = Meddling(lambda: os.kill(device.agents[-1]._process.pid, signal.SIGSTOP))
    with pytest.raises(MeasurementError, match="no answer within 1 s"):
        measured(model(), device=device, progress=hang)
    assert device.agents[-1]._process.poll() == -signal.SIGKILL


def test_throttling_and_changed_clocks_make_it_invalid():
    before = {"throttle_count": 3, "governor": "performance"}
    assert launch._disturbances(before, before) == ()
    assert (
        launch._disturbances({"throttle_count": None, "governor": None}, {"throttle_count": None, "governor": None})
        == ()
    )
    found = launch._disturbances(before, {"throttle_count": 5, "governor": "powersave"})
    assert found == (
        "the CPU throttled 2 times while it was measured",
        "the clock governor changed from performance to powersave",
    )


def test_a_system_that_changes_between_launches_makes_it_invalid(model):
    class Updated(Watched):
        def start(self, runtime):
            agent = super().start(runtime)
            if len(self.agents) == 2:
                ask = agent.ask

                def changed(request, timeout_s):
                    answer = ask(request, timeout_s)
                    return {**answer, "governor": "powersave"} if request["do"] == "describe" else answer

                agent.ask = changed
            return agent

    (found,) = measured(model(), device=Updated())
    assert found.invalid == ("the device's system or settings changed between launches",)


def test_progress_reaches_its_total(model):
    seen = []

    class Listening(Silent):
        def advance(self, done, total, detail=""):
            seen.append((done, total))

    measured(model(), progress=Listening())
    assert seen[0][0] == 0
    assert seen[-1][0] == seen[-1][1]
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_an_unreachable_device_is_told(model):
    with pytest.raises(DeviceError):
        measured(model(), device=connect("local:/no/such/python"))
    with pytest.raises(DeviceError):
        environment(connect("local:/no/such/python"), "onnxruntime")
