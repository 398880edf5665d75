"""Invalid measurements inside a run: made again, never kept, never read as a number."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from simulated import exactly

from edgekd import catalog
from edgekd.data.load import load_dataset
from edgekd.devices.agent.protocol import Timed
from edgekd.errors import MeasurementError
from edgekd.gate.budget import Budget
from edgekd.measuring.artifact import describe
from edgekd.measuring.statistics import ratio
from edgekd.pipeline.job import Job
from edgekd.pipeline.measuring import measured
from edgekd.progress import Silent
from edgekd.store import Store
from edgekd.values import MeasuringProtocol, Recipe

ONCE = MeasuringProtocol(launches=1, seconds=0.1, block_seconds=0.02, warmup_seconds=0.1)
RELATIVE = {"max_ratio": 0.5}


class Listening(Silent):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


@pytest.fixture
def job(tmp_path):
    """Of a device that is simulated."""

    def make(device, **latency):
        return Job(
            recipe=Recipe(model="resnet8", data="digits", target="x86-cpu", budget="b"),
            target=catalog.target("x86-cpu"),
            budget=Budget.model_validate({"name": "b", "latency": latency or RELATIVE}),
            data=load_dataset("digits"),
            device=device,
            run=Store(tmp_path / "run"),
            shared=Store(tmp_path / "shared"),
            progress=Listening(),
        )

    return make


@pytest.fixture
def files(model):
    """Two networks, the second of half the latency."""
    paths = [model("base"), model("half")]
    return [describe(path, name=path.stem, runtime="onnxruntime") for path in paths]


def latency_ms(path: Path) -> float:
    return {"base": 1.0, "half": 0.5}[path.stem]


def kept(job: Job) -> list[Path]:
    return list((job.run.root / "stages").glob("measured-*/result.json"))


def test_one_throttled_session_is_made_again_and_the_candidate_is_as_fast_as_it_is(job, simulated, files):
    # one launch of two files, made again once within the session: four processes
    ours = job(simulated(latency_ms, throttled=lambda process: process <= 4))
    base, half = measured(ours, files, ONCE)
    assert base.invalid == half.invalid == ()
    assert ratio(half, base).estimate == pytest.approx(0.5)
    assert len(ours.progress.notes) == 2  # of the launch, of the session
    assert "is invalid and is repeated: the device throttled 1 times" in ours.progress.notes[1]
    assert ours.device.finished == 6


def test_a_device_that_goes_on_throttling_ends_in_4_and_nothing_is_kept(job, simulated, files):
    hot = job(simulated(latency_ms, throttled=lambda _: True))
    with pytest.raises(MeasurementError, match="the repeated measurement is invalid too: the device throttled") as e:
        measured(hot, files, ONCE)
    assert e.value.exit_code == 4
    assert kept(hot) == []
    cooled = job(simulated(latency_ms))
    assert measured(cooled, files, ONCE)[1].invalid == ()
    assert len(kept(cooled)) == 1


def drifting():
    """The device gets slower and slower in each process."""
    canary_ms = itertools.count(2.0)

    def timed(ms: float, seconds: float) -> Timed:
        return replace(exactly(ms, seconds), canary_ms=next(canary_ms))

    return timed


def test_a_drift_spoils_milliseconds_but_not_ratios(job, simulated, files):
    longer = ONCE.model_copy(update={"seconds": 0.5})
    with pytest.raises(MeasurementError, match="the canary changed by"):
        measured(job(simulated(latency_ms, timing=drifting), limit_ms=10.0), files, longer)
    assert measured(job(simulated(latency_ms, timing=drifting)), files, longer)


def test_what_was_measured_for_ratios_is_not_taken_for_milliseconds(job, simulated, files):
    """Launches that drift are made again for the one and kept for the other."""
    device = simulated(latency_ms)
    measured(job(device), files, ONCE)
    once = device.finished
    measured(job(device), files, ONCE)
    assert device.finished == once
    measured(job(device, limit_ms=10.0), files, ONCE)
    assert device.finished == 2 * once


def test_a_file_that_is_called_otherwise_keeps_its_name(job, simulated, files):
    device = simulated(latency_ms)
    measured(job(device), files, ONCE)
    once = device.finished
    renamed = [artifact.model_copy(update={"name": f"my-{artifact.name}"}) for artifact in files]
    assert [m.artifact.name for m in measured(job(device), renamed, ONCE)] == ["my-base", "my-half"]
    assert device.finished == once
