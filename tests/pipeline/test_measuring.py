"""Measuring inside a run: invalid measurements are repeated, never kept; what decides a measurement is its key."""

import itertools
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from simulated import exactly

from edgekd import catalog
from edgekd.devices.agent.protocol import Timed
from edgekd.devices.device import connect
from edgekd.errors import DeviceError, MeasurementError, NoDeviceError
from edgekd.gate import budget as budgets
from edgekd.measuring.artifact import describe
from edgekd.measuring.statistics import ratio
from edgekd.pipeline.goal import Goal
from edgekd.pipeline.measuring import TargetDevice, device_of_target
from edgekd.pipeline.measuring import measured as measure_in
from edgekd.progress import Silent
from edgekd.run import Run
from edgekd.store import Store
from edgekd.values import Host, MeasuringProtocol

ONCE = MeasuringProtocol(launches=1, seconds=0.1, block_seconds=0.02, warmup_seconds=0.1)
TARGET = catalog.target("x86-cpu")


class Listening(Silent):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


@dataclass(frozen=True)
class Measurer:
    """Measures in one run directory."""

    run: Run

    def __call__(self, device, files, protocol=None, *, steady=False, target=TARGET):
        return measure_in(self.run, TargetDevice(device, target), files, protocol or ONCE, steady=steady)

    @property
    def notes(self):
        return self.run.progress.notes

    @property
    def kept(self) -> list[Path]:
        return list((self.run.store.root / "stages").glob("measured-*/result.json"))


@pytest.fixture
def measured(tmp_path):
    return Measurer(Run(store=Store(tmp_path / "run"), shared=Store(tmp_path / "shared"), progress=Listening()))


@pytest.fixture
def files(model):
    """Two networks, the second of half the latency."""
    paths = [model("base"), model("half")]
    return [describe(path, name=path.stem, runtime="onnxruntime") for path in paths]


def latency_ms(path: Path) -> float:
    return {"base": 1.0, "half": 0.5}[path.stem]


def test_ratios_alone_are_measured_in_a_closed_loop_whatever_the_budgets_cadence(measured, simulated, files):
    """In a paced loop what is slower than the cadence waits for itself, and its ratio grows with the seconds."""
    paced = ONCE.model_copy(update={"loop": "paced", "cadence_hz": 30.0})
    goal = Goal(budgets.load("camera-30fps"), TARGET, simulated(latency_ms), paced)
    for found in (goal.compared(measured.run, files), goal.compared(measured.run, files, traced=True)):
        assert [(one.protocol.loop, one.protocol.cadence_hz) for one in found] == [("closed", None)] * 2
    assert [one.protocol.loop for one in goal.measured(measured.run, files)] == ["paced"] * 2


def test_an_emulated_device_is_not_measured(measured, simulated, files):
    device = simulated(latency_ms, emulated=True)
    with pytest.raises(MeasurementError, match="emulated: another processor") as e:
        measured(device, files)
    assert (e.value.exit_code, device.finished) == (4, 0)


def test_one_throttled_session_is_repeated_and_the_candidate_is_as_fast_as_it_is(measured, simulated, files):
    # one launch of two files, repeated once within the session: four processes
    device = simulated(latency_ms, throttled=lambda process: process <= 4)
    base, half = measured(device, files)
    assert base.invalid == half.invalid == ()
    assert ratio(half, base).estimate == pytest.approx(0.5)
    assert len(measured.notes) == 2  # of the launch, of the session
    assert "is invalid and is repeated: the device throttled 1 times" in measured.notes[1]
    assert device.finished == 6


def test_a_device_that_keeps_throttling_ends_in_4_and_nothing_is_kept(measured, simulated, files):
    with pytest.raises(MeasurementError, match="the repeated measurement is invalid too: the device throttled") as e:
        measured(simulated(latency_ms, throttled=lambda _: True), files)
    assert e.value.exit_code == 4
    assert measured.kept == []
    assert measured(simulated(latency_ms), files)[1].invalid == ()
    assert len(measured.kept) == 1


def drifting():
    """The device gets slower and slower in each process."""
    canary_ms = itertools.count(2.0)

    def timed(ms: float, seconds: float) -> Timed:
        return replace(exactly(ms, seconds), canary_ms=next(canary_ms))

    return timed


def test_a_drift_spoils_milliseconds_but_not_ratios(measured, simulated, files):
    longer = ONCE.model_copy(update={"seconds": 0.5})
    with pytest.raises(MeasurementError, match="the canary changed by"):
        measured(simulated(latency_ms, timing=drifting), files, longer, steady=True)
    assert measured(simulated(latency_ms, timing=drifting), files, longer)


def test_what_was_measured_for_ratios_is_not_taken_for_milliseconds(measured, simulated, files):
    """Launches that drift are repeated for the one and kept for the other."""
    device = simulated(latency_ms)
    measured(device, files)
    once = device.finished
    measured(device, files)
    assert device.finished == once
    measured(device, files, steady=True)
    assert device.finished == 2 * once


def test_a_file_that_is_called_otherwise_keeps_its_name(measured, simulated, files):
    device = simulated(latency_ms)
    measured(device, files)
    once = device.finished
    renamed = [artifact.model_copy(update={"name": f"my-{artifact.name}"}) for artifact in files]
    assert [m.artifact.name for m in measured(device, renamed)] == ["my-base", "my-half"]
    assert device.finished == once


def with_facts(device, **changes):
    """The same device after something on it changed."""

    class Changed(type(device)):
        facts = device.facts.model_copy(update=changes)

    device.__class__ = Changed
    return device


OTHER = {
    "machine": "another",
    "arch": "x86_64 v2",
    "os": "linux 2",
    "os_version": "2",
    "cpu": "another",
    "cpu_features": ("avx2",),
    "cores": 8,
    "memory_bytes": 1,
    "governor": "powersave",
    "python": "4",
    "board": "another",
    "power_mode": "15W",
    "clocks_locked": True,
}


@pytest.mark.parametrize("fact", sorted(Host.model_fields.keys() - {"emulated"}))  # on which nothing is measured
def test_it_is_measured_again_where_the_host_has_changed(measured, simulated, files, fact):
    """Each fact of it, those that are added later too."""
    measured(simulated(latency_ms), files)
    device = simulated(latency_ms, described=lambda process: {fact: OTHER[fact]})
    measured(device, files)
    assert device.finished == 2


def test_what_a_device_measures_after_its_settings_changed_is_not_kept_as_measured_before(measured, simulated, files):
    """Its facts are those of the beginning of a run, which may be hours ago, and decide what is found again."""
    device = simulated(latency_ms, described=lambda process: {"power_mode": "15W" if process else "MAXN"})
    with pytest.raises(MeasurementError, match="has changed since the command began: power mode from MAXN to 15W"):
        measured(device, files)
    assert measured.kept == []
    measured(
        simulated(latency_ms, described=lambda process: {"power_mode": "MAXN", "python": f"3.{process}"}), files[:1]
    )
    assert len(measured.kept) == 1


@pytest.mark.parametrize("changes", [{"version": "2"}, {"provider": "Another"}, {"builds": True}])
def test_it_is_measured_again_where_the_runtime_has_changed(measured, simulated, files, changes):
    measured(simulated(latency_ms), files)
    device = simulated(latency_ms)
    runtime = device.facts.runtimes["onnxruntime"].model_copy(update=changes)
    measured(with_facts(device, runtimes={"onnxruntime": runtime}), files)
    assert device.finished == 2


def test_a_runtime_that_runs_none_of_the_artifacts_decides_nothing(measured, simulated, files):
    measured(simulated(latency_ms), files)
    device = simulated(latency_ms, runtimes=("onnxruntime", "openvino"))
    measured(device, files)
    assert device.finished == 0


@pytest.mark.parametrize(
    "changes",
    [{"name": "another"}, {"marker": "/marker"}, {"compatible": ("a,board",)}, {"os": "android"}, {"arch": "aarch64"}],
)
def test_it_is_measured_again_as_another_target(measured, simulated, files, changes):
    measured(simulated(latency_ms), files)
    device = simulated(latency_ms)
    measured(device, files, target=TARGET.model_copy(update=changes))
    assert device.finished == 2


def test_what_else_a_target_states_decides_nothing(measured, simulated, files):
    measured(simulated(latency_ms), files)
    device = simulated(latency_ms)
    measured(device, files, target=TARGET.model_copy(update={"channel_block": 16, "title": "Another"}))
    assert device.finished == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda files: files[::-1],
        lambda files: files[:1],
        lambda files: [files[0], in_settings(files[1], threads=2)],
        lambda files: [files[0], files[1].model_copy(update={"format": "ort"})],
    ],
    ids=["order", "number", "settings", "format"],
)
def test_other_artifacts_are_measured(measured, simulated, files, change):
    measured(simulated(latency_ms), files)
    device, changed = simulated(latency_ms), change(files)
    measured(device, changed)
    assert device.finished == len(changed)


def in_settings(artifact, **settings):
    return artifact.model_copy(update={"variant": artifact.variant.model_copy(update={"settings": settings})})


def test_each_artifact_is_opened_with_the_settings_of_its_variant(measured, simulated, files):
    """Two threads beside one: both on as many CPUs as the most threads, so that they compare."""
    device = simulated(latency_ms)
    base, half = measured(device, [files[0], in_settings(files[1], threads=2)])
    assert device.threads == {1, 2}
    assert (base.runtime.settings["threads"], half.runtime.settings["threads"]) == (1, 2)
    assert ratio(half, base).estimate == pytest.approx(0.5)


def run_in(folder, progress):
    return Run(store=Store(folder / "run"), shared=Store(folder / "shared"), progress=progress)


def test_a_run_waits_for_a_device_in_use_and_says_for_whom(tmp_path):
    with connect("local:") as other, ExitStack() as held:
        held.enter_context(other.leased())

        class Freeing(Listening):
            def note(self, text):
                super().note(text)
                held.close()

        progress = Freeing()
        with device_of_target(None, TARGET, run_in(tmp_path, progress)):
            pass
    assert progress.notes[0].startswith("waiting for this machine: in use by ")


def test_how_long_a_run_waits_can_be_stated(tmp_path):
    with (
        connect("local:") as other,
        other.leased(),
        pytest.raises(DeviceError, match="in use by"),
        ExitStack() as stack,
    ):
        stack.enter_context(device_of_target(None, TARGET, run_in(tmp_path, Silent()), wait_s=0.1))


def test_a_device_that_is_given_and_not_of_the_target_is_refused_at_once(tmp_path):
    jetson, progress = catalog.target("jetson"), Listening()
    given = device_of_target("local:", jetson, run_in(tmp_path, progress))
    with pytest.raises(NoDeviceError, match="is not a device of target jetson") as e, given:
        pass
    assert (e.value.exit_code, "leave --device out" in e.value.hint) == (3, True)
    with device_of_target(None, jetson, run_in(tmp_path, progress)) as device:
        assert device is None
    assert "nothing is measured" in progress.notes[-1]
