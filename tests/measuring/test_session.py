import math
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from threading import RLock
from types import SimpleNamespace

import onnx
import pytest
from onnx import TensorProto, helper
from simulated import exactly

from edgekd import catalog
from edgekd.devices import client
from edgekd.devices.device import connect
from edgekd.errors import DeviceError, EdgekdError, MeasurementError, UnsupportedModelError
from edgekd.measuring.artifact import describe
from edgekd.measuring.disturbance import EMULATED, spoiled
from edgekd.measuring.launch import batch_of
from edgekd.measuring.session import Enough, _affordable, measure
from edgekd.measuring.statistics import paired_ratios, ratio
from edgekd.progress import Silent
from edgekd.values import MeasuringProtocol

QUICK = MeasuringProtocol(launches=2, seconds=0.06, block_seconds=0.01, warmup_seconds=0.05)


class Watched:
    """The local device, noting each agent process it starts; without what a busy machine would disturb."""

    def __init__(self):
        self.device = connect("local:")
        self.agents = []
        self.lock = RLock()  # they are started at once, and are counted here in their order

    url = "local:"

    def __getattr__(self, name):
        return getattr(self.device, name)

    def start(self, runtime):
        with self.lock:
            return self.watched(runtime)

    def watched(self, runtime):
        agent = self.device.start(runtime)
        ask = agent.process.ask

        def calm(request, timeout_s, limits):
            answer = ask(request, timeout_s, limits)
            return {**answer, "canary_ms": 1.0, "waited_ms": 0.0} if "canary_ms" in answer else answer

        agent.process.ask = calm
        self.agents.append(agent)
        return agent


class Meddling(Silent):
    """Does something to the device once measuring has begun."""

    def __init__(self, meddle):
        self.meddle = meddle

    def advance(self, done, total, detail=""):
        if done == 1:
            self.meddle()


def measured(*paths, device=None, protocol=QUICK, settings=None, target="x86-cpu", progress=None, **more):
    artifacts = [describe(path, name=path.stem, runtime="onnxruntime", settings=settings) for path in paths]
    return measure(
        artifacts,
        device=device or Watched(),
        target=catalog.target(target),
        protocol=protocol,
        progress=progress or Silent(),
        **more,
    )


def test_a_session_holds_the_devices_lease_from_its_first_launch_to_its_last(model):
    holders = []
    device = Watched()
    measured(model(), device=device, progress=Meddling(lambda: holders.append(device.holder())))
    assert all(f"pid {os.getpid()}" in holder.who for holder in holders)
    assert holders
    with connect("local:") as other, other.leased(), pytest.raises(DeviceError, match="in use by"):
        measured(model(), device=device)


def test_where_one_file_is_not_read_there_none_is_sent(model):
    device, newer = Watched(), model("newer")
    if device.facts.runtimes["onnxruntime"].version.split(".")[:2] > ["1", "32"]:
        pytest.skip("what this version does not read is not known")
    device.device._sent = pytest.fail
    proto = onnx.load(newer)
    proto.opset_import[0].version = 99
    onnx.save(proto, newer)
    with pytest.raises(UnsupportedModelError, match=r"newer\.onnx: .* does not read it: it has opset 99"):
        measured(model("older"), newer, device=device)
    assert not device.agents


def test_a_session_that_loses_the_lease_gives_no_measurement(model):
    device = Watched()
    keeper = device.device._lease

    def lose():
        os.kill(keeper._keeper.process.pid, signal.SIGKILL)

    with pytest.raises(MeasurementError, match="the lease on the device was lost"):
        measured(model(), device=device, progress=Meddling(lose))


def test_artifacts_are_measured_side_by_side_in_fresh_processes(model):
    device = Watched()
    small, large = measured(model("small"), model("large", layers=12, channels=32), device=device)
    assert len({agent.process.pid for agent in device.agents}) == 4  # 2 launches of 2 artifacts
    assert all(agent.process._process.poll() in (0, 1) for agent in device.agents)  # 1: it took more than a second
    assert small.session == large.session
    for found in (small, large):
        assert found.on_target
        assert found.invalid == ()
        assert found.protocol == QUICK.model_copy(update={"same_cpus": True})
        assert found.host == device.facts.host
        assert len(found.launches) == 2
        for one in found.launches:
            assert len(one.blocks_ms) >= 3
            assert one.load_ms > 0
            assert one.first_ms > 0
            assert one.warmup_ms
            assert one.peak_bytes > 0
    assert len(paired_ratios(large, small)) == 2
    assert ratio(large, small).low > 2  # it computes some 60 times as much


def test_beside_other_programs_a_measurement_is_repeated_and_invalid(model):
    spinning = [sys.executable, "-c", "while True: pass"]
    with ExitStack() as busy, connect("local:") as device:
        for cpu in os.sched_getaffinity(0):
            process = busy.enter_context(subprocess.Popen(spinning))
            busy.callback(process.kill)
            os.sched_setaffinity(process.pid, {cpu})  # else both may share one, and leave the other to the models
        found = measured(model("small"), model("large", layers=12, channels=32), device=device)
    for one in found:
        assert one.invalid == one.retried[:1]
        assert len(one.retried) == QUICK.launches
        assert "other programs ran on the CPU" in one.invalid[0]


def test_turns_are_shuffled_every_round(model):
    turns = []

    class Listening(Watched):
        def watched(self, runtime):
            agent, number = super().watched(runtime), len(self.agents) - 1
            ask = agent.process.ask

            def listened(request, timeout_s, limits):
                turns.extend([number] if request["do"] == "block" else [])
                return ask(request, timeout_s, limits)

            agent.process.ask = listened
            return agent

    measured(
        model("a"), model("b"), device=Listening(), protocol=QUICK.model_copy(update={"launches": 1, "seconds": 0.2})
    )
    rounds = [tuple(turns[i : i + 2]) for i in range(0, len(turns), 2)]
    assert len(rounds) >= 5
    assert set(rounds) == {(0, 1), (1, 0)}


class Listening(Watched):
    """Keeps what each agent was asked."""

    def __init__(self, alike=True):
        super().__init__()
        self.asked, self.alike = [], alike

    def watched(self, runtime):
        agent = super().watched(runtime)
        ask, asked = agent.process.ask, []
        self.asked.append(asked)

        def listened(request, timeout_s, limits):
            asked.append(request)
            answer = ask(request, timeout_s, limits)
            return {**answer, "alike": self.alike} if request["do"] == "cpus" else answer

        agent.process.ask = listened
        return agent

    @property
    def affinities(self):
        return [r["opening"]["affinity"] for asked in self.asked for r in asked if r["do"] == "load"]


def test_those_side_by_side_share_their_cpus_and_change_them_with_each_launch(model):
    device, cpus = Listening(), sorted(os.sched_getaffinity(0))
    found = measured(model("a"), model("b"), device=device, protocol=QUICK.model_copy(update={"launches": 3}))
    wanted = [(cpus[launch % len(cpus)],) for launch in range(3)]
    assert device.affinities == [cpu for cpu in wanted for _ in range(2)]
    assert all(m.protocol.same_cpus and m.protocol.affinity is None for m in found)


@pytest.mark.parametrize(
    ("files", "changes", "alike"),
    [(1, {}, True), (2, {"same_cpus": False}, True), (2, {}, False)],
)
def test_cpus_are_left_to_the_system_where_sharing_makes_no_sense(model, files, changes, alike):
    device = Listening(alike)
    paths = [model(name) for name in ("a", "b")[:files]]
    found = measured(*paths, device=device, protocol=QUICK.model_copy(update=changes))
    assert set(device.affinities) == {None}
    assert not any(m.protocol.same_cpus for m in found)


def test_more_threads_than_cpus_are_refused(model):
    with pytest.raises(EdgekdError, match="999 threads were requested, but the device has") as e:
        measured(model(), settings={"threads": 999})
    assert "--threads" in e.value.hint


def test_more_threads_than_given_cpus_are_refused(model):
    cpu = min(os.sched_getaffinity(0))
    with pytest.raises(EdgekdError, match="2 threads were requested, but --affinity has 1 CPUs") as e:
        measured(model(), settings={"threads": 2}, protocol=QUICK.model_copy(update={"affinity": (cpu,)}))
    assert "--threads 1 or fewer, or --affinity more CPUs" in e.value.hint


def test_given_cpus_are_kept(model):
    device, cpu = Listening(), min(os.sched_getaffinity(0))
    (found, _) = measured(model("a"), model("b"), device=device, protocol=QUICK.model_copy(update={"affinity": (cpu,)}))
    assert set(device.affinities) == {(cpu,)}
    assert found.protocol.affinity == (cpu,)


def test_sessions_are_distinguished(model):
    quick = QUICK.model_copy(update={"launches": 1})
    (one,), (two,) = (measured(model(), protocol=quick) for _ in range(2))
    assert one.session != two.session


def test_a_slow_model_beside_a_fast_one_gets_equally_long_turns(model):
    fast, slow = measured(model("fast"), model("slow", layers=30, channels=64, size=64))
    for one, other in zip(fast.launches, slow.launches, strict=True):
        assert len(one.blocks_ms) == len(other.blocks_ms) == len(one.canary_ms) == 10  # enough to see drift
        assert sum(map(len, other.blocks_ms)) < 30
        assert min(map(sum, one.blocks_ms)) > min(map(min, other.blocks_ms)) / 2


def test_even_one_launch_has_enough_blocks_to_compare(model):
    settings = QUICK.model_copy(update={"launches": 1, "seconds": 0.01})
    a, b = measured(model("a"), model("b"), protocol=settings)
    assert len(paired_ratios(a, b)[0]) == 5


def test_a_fixed_batch_is_declared(model):
    (found,) = measured(model(batch=4), protocol=QUICK.model_copy(update={"launches": 1}))
    assert found.protocol.batch == 4


def test_another_kind_of_device_is_not_the_target(model):
    (found,) = measured(model(), target="jetson-orin-nano", protocol=QUICK.model_copy(update={"launches": 1}))
    assert not found.on_target


def test_an_operator_the_runtime_lacks_is_reported(one_node):
    unknown = one_node("odd", "Oddity", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])], domain="made.up")
    with pytest.raises(UnsupportedModelError, match=r"odd\.onnx: onnxruntime can't load it: .*Oddity") as e:
        measured(unknown)
    assert "operators" in e.value.hint


def test_a_model_that_fails_in_its_first_inference_is_reported(one_node):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])
    shape = helper.make_tensor_value_info("shape", TensorProto.INT64, [3])
    with pytest.raises(UnsupportedModelError, match=r"fails\.onnx: onnxruntime can't (run|load) it") as e:
        measured(one_node("fails", "Reshape", [x, shape]))
    assert e.value.hint == "Its input was random integers for shape: give valid values with --inputs FILE.npz"


def test_free_axes_are_reported_with_the_remedy(model):
    with pytest.raises(UnsupportedModelError, match=r"model\.onnx: no fixed size: axis 2 \(height\)") as e:
        measured(model(axis="height"))
    assert e.value.hint == "Specify it, for example --shape image=1x3x224x8"


def test_a_runtime_that_crashes_is_reported(model):
    device = Watched()
    crash = Meddling(lambda: os.kill(device.agents[-1].process.pid, signal.SIGSEGV))
    with pytest.raises(MeasurementError, match=r"model\.onnx: onnxruntime failed in 'block': ended with signal 11"):
        measured(model(), device=device, progress=crash)


def test_a_runtime_that_hangs_is_killed_at_its_time_limit(model, monkeypatch):
    device = Watched()

    def hang():
        monkeypatch.setattr(client, "_SLACK_S", 1)
        os.kill(device.agents[-1].process.pid, signal.SIGSTOP)

    with pytest.raises(MeasurementError, match="no answer within 1 s"):
        measured(model(), device=device, progress=Meddling(hang))
    assert device.agents[-1].process._process.poll() == -signal.SIGKILL


class Throttling(Watched):
    """Tells of throttling at the end of the launches that are named."""

    def __init__(self, launches):
        super().__init__()
        self.launches = launches

    def watched(self, runtime):
        agent, number = super().watched(runtime), len(self.agents) - 1
        ask = agent.process.ask

        def hot(request, timeout_s, limits):
            answer = ask(request, timeout_s, limits)
            if request["do"] == "finish" and number in self.launches:
                answer["state"] = {**answer["state"], "throttle_count": 10**6}
            elif "state" in answer:
                answer["state"] = {**answer["state"], "throttle_count": 0}
            return answer

        agent.process.ask = hot
        return agent


def test_a_disturbed_launch_is_made_again(model):
    notes = []

    class Listening(Silent):
        def note(self, text):
            notes.append(text)

    device = Throttling({1})
    (found,) = measured(model(), device=device, progress=Listening())
    assert len(device.agents) == 3
    assert found.invalid == ()
    assert len(found.launches) == 2
    assert "throttled 1000000 times" in found.retried[0]
    assert notes == [f"launch 2 is repeated: {found.retried[0]}"]


def test_what_stays_disturbed_is_invalid(model):
    device = Throttling(set(range(10)))
    (found,) = measured(model(), device=device)
    assert len(device.agents) == 4  # two launches, each repeated once
    assert len(found.launches) == len(found.retried) == 2
    assert found.invalid == ("the device throttled 1000000 times during the measurement",)


def test_a_disturbed_launch_is_made_again_on_other_cpus(model, simulated):
    """What disturbs one may stay on its CPU, as an interrupt does."""

    def timing():
        def timed(ms, seconds):
            busy = device.affinities[-1] == (0,)
            return replace(exactly(ms, seconds), waited_ms=100.0 if busy else 0.0)

        return timed

    device = simulated(lambda path: 1.0, timing=timing)
    found = measured(model("a"), model("b"), device=device, protocol=QUICK.model_copy(update={"launches": 3}))
    for one in found:
        assert one.invalid == ()
        assert [launch.cpus for launch in one.launches] == [(1,)] * 3
        assert len(one.retried) == 3


@pytest.mark.parametrize(("cadence_hz", "turns"), [(30.0, 10), (15.0, 10), (8.0, 3)])
def test_a_paced_loop_has_enough_turns_to_see_a_drift(model, simulated, cadence_hz, turns):
    """But where they would take minutes."""
    paced = {"loop": "paced", "cadence_hz": cadence_hz, "launches": 2, "seconds": 2.0}
    device = simulated(lambda path: 900 / cadence_hz)
    (found,) = measured(model(), device=device, protocol=QUICK.model_copy(update=paced))
    assert [len(launch.blocks_ms) for launch in found.launches] == [turns] * 2


@pytest.mark.parametrize(("steady", "processes"), [(True, 4), (False, 2)])
def test_a_drift_makes_a_launch_again_only_where_milliseconds_matter(model, steady, processes):
    class Drifting(Watched):
        blocks = 0

        def watched(self, runtime):
            agent = super().watched(runtime)
            ask = agent.process.ask

            def slower(request, timeout_s, limits):
                answer = ask(request, timeout_s, limits)
                self.blocks += request["do"] == "block"
                return {**answer, "canary_ms": 1e-3 * (1 + self.blocks)} if "canary_ms" in answer else answer

            agent.process.ask = slower
            return agent

    device = Drifting()
    settings = QUICK.model_copy(update={"seconds": 0.1})
    (found,) = measured(model(), device=device, protocol=settings, steady=steady)
    assert len(device.agents) == processes
    assert found.invalid == ()
    assert "the canary changed by" in spoiled(found)[0]


def test_it_continues_with_twice_as_many_launches_until_that_is_enough(model):
    looks = []

    def decided(found):
        looks.append((found[0].looks, len(found[0].launches)))
        return found[0].looks == 3

    (found,) = measured(model(), enough=Enough(decided, time_limit_s=60))
    assert looks == [(1, 2), (2, 4), (3, 8)]
    assert len(found.launches) == found.protocol.launches == 8
    assert found.looks == 3
    assert measured(model())[0].looks is None


def test_it_stops_at_the_time_limit(model):
    (found,) = measured(model(), enough=Enough(lambda found: False, time_limit_s=0.1))
    assert len(found.launches) == 2


@pytest.mark.parametrize(
    ("retried", "left_s", "launches"),
    [(0, 30, 5), (0, 6, 3), (5, 20, 5), (5, 2.5, 2), (0, 0, 0), (0, -1, 0), (0, math.inf, 5)],
)
def test_launches_made_again_use_up_the_time_too(retried, left_s, launches):
    # each took 2 s without any repeated, 1 s with as many
    assert _affordable(5, retried, taken_s=10, left_s=left_s) == launches


def test_nodes_are_timed_in_a_process_of_their_own(model):
    device = Watched()
    (found,) = measured(model(), device=device, traced=True)
    assert len(device.agents) == 3
    assert {node.op for node in found.trace.nodes} & {"Conv", "FusedConv"}
    (without,) = measured(model())
    assert without.trace is None


def test_a_system_that_changes_between_launches_makes_it_invalid(model):
    class Updated(Watched):
        def watched(self, runtime):
            agent = super().watched(runtime)
            if len(self.agents) == 2:
                ask = agent.process.ask

                def changed(request, timeout_s, limits):
                    answer = ask(request, timeout_s, limits)
                    return (
                        {**answer, "host": {**answer["host"], "governor": "powersave"}}
                        if request["do"] == "describe"
                        else answer
                    )

                agent.process.ask = changed
            return agent

    (found,) = measured(model(), device=Updated())
    (why,) = found.invalid
    assert why.startswith("the device changed between launches: governor from ")
    assert why.endswith(" to powersave")


def test_an_emulated_device_has_no_latency(model, simulated):
    (found,) = measured(model(), device=simulated(emulated=True))
    assert found.invalid == (EMULATED,)


def test_progress_reaches_its_total(model):
    seen = []

    class Listening(Silent):
        def advance(self, done, total, detail=""):
            seen.append((done, total))

    measured(model(), progress=Listening())
    assert seen[0][0] == 0
    assert seen[-1][0] == seen[-1][1]
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_where_one_agent_does_not_start_the_others_are_closed(model):
    class Failing(Watched):
        def watched(self, runtime):
            if self.agents:
                raise DeviceError("no more", "")
            return super().watched(runtime)

    device = Failing()
    with pytest.raises(DeviceError, match="no more"):
        measured(model("a"), model("b"), device=device)
    assert device.agents[0].process._process.poll() is not None


def test_an_unreachable_device_is_reported(model):
    with pytest.raises(DeviceError):
        measured(model(), device=connect("local:/no/such/python"))


@pytest.mark.parametrize(
    ("shapes", "batch"),
    [
        ([(8, 3, 32, 32)], 8),
        ([(8, 1, 1000)], 8),
        ([(4, 3, 32, 32), (1, 7)], 4),
        ([(8, 1, 1000), (8, 2)], 8),
        ([(8, 1, 1000), (2, 2)], None),
        ([(5,)], None),
    ],
)
def test_the_batch_is_the_first_axis_of_images_or_of_all_inputs(shapes, batch):
    inputs = {f"x{number}": shape for number, shape in enumerate(shapes)}
    assert batch_of(SimpleNamespace(loaded=SimpleNamespace(inputs=inputs))) == batch
