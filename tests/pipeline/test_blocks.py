from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgekd import catalog
from edgekd.data.load import load_dataset
from edgekd.devices.device import connect
from edgekd.errors import NoDeviceError, UnsupportedModelError
from edgekd.gate import budget as budgets
from edgekd.pipeline import blocks
from edgekd.pipeline.blocks import savings_ms
from edgekd.pipeline.job import Job
from edgekd.pipeline.students import Students
from edgekd.progress import Silent
from edgekd.store import Store
from edgekd.values import Pruning, Recipe
from edgekd.values.result import Dropped
from edgekd.zoo import networks
from edgekd.zoo.definition import Definition

pytestmark = pytest.mark.alone

SHORT = {"launches": 3, "seconds": 0.3, "block_seconds": 0.02, "warmup_seconds": 0.05}


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Of vgg8, whose only block that can go holds 2.4 of its 3.9 million weights: what it saves is plain."""
    target = catalog.target("x86-cpu")
    pruning = Pruning(method="layerwise", options={"order": "latency"})
    return Job(
        recipe=Recipe(model="vgg8", data="digits", target=target.name, budget="half-latency", prune=pruning),
        target=target,
        budget=budgets.load("half-latency"),
        data=load_dataset("digits"),
        device=connect("local:", target),
        run=Store(tmp_path / "run"),
        shared=Store(tmp_path / "shared"),
        progress=Silent(),
    )


@pytest.fixture
def students(tmp_path: Path) -> Callable[[Job], Students]:
    """Of a network with random weights."""

    def make(job: Job) -> Students:
        network = networks.save(job.network(), tmp_path / "weights.safetensors", job.architecture, origin="given")
        return Students(job, network.architecture, network.weights)

    return make


@pytest.mark.slow
def test_the_network_is_measured_without_each_block(
    job: Job, students: Callable[[Job], Students], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "QUICK", SHORT)
    with students(job) as first:
        student = first.at(0.2)
    assert Definition.read(student.definition.path).removed == ("stage5",)

    def unused() -> None:
        raise AssertionError("what was measured is measured again")

    monkeypatch.setattr(Students, "_child", lambda _: unused())
    with students(job) as again:
        saved = savings_ms(job, job.architecture, again._child, again._inputs)
        assert again.at(0.2) == student
    assert saved.keys() == {"stage5"}
    (measured,) = (job.run.root / "stages").glob("measured-*")
    assert saved["stage5"] > 0
    assert "without-stage5-fp32" in (measured / "result.json").read_text()


def test_without_a_device_there_is_no_order_by_latency(job: Job, students: Callable[[Job], Students]) -> None:
    with students(replace(job, device=None)) as made, pytest.raises(NoDeviceError, match="no device") as e:
        made.at(0.2)
    assert "'position'" in e.value.hint


@pytest.mark.slow
def test_blocks_that_are_named_need_no_device(job: Job, students: Callable[[Job], Students]) -> None:
    named = Pruning(method="layerwise", options={"order": "latency", "remove": "stage5"})
    recipe = job.recipe.model_copy(update={"prune": named})
    with students(replace(job, device=None, recipe=recipe)) as made:
        student = made.at(0.2)
    assert Definition.read(student.definition.path).removed == ("stage5",)


def test_a_block_without_which_the_reference_cant_be_written_says_why(job: Job) -> None:
    rungs = [Dropped(name="without-stage5-fp32", why="the quantiser failed")]
    with pytest.raises(UnsupportedModelError, match="without-stage5-fp32: the quantiser failed") as e:
        blocks._reference(job, rungs)
    assert "position" in e.value.hint
