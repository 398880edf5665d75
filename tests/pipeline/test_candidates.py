"""What a search finds out about a network, measured on the device."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgekd import catalog
from edgekd.data.load import load_dataset
from edgekd.devices.device import connect
from edgekd.errors import NoDeviceError
from edgekd.gate import budget as budgets
from edgekd.pipeline import candidates
from edgekd.pipeline.candidates import NetworkBench
from edgekd.pipeline.job import Job
from edgekd.progress import Silent
from edgekd.pruning import stages
from edgekd.store import Store
from edgekd.values import Pruning, Recipe, Structure
from edgekd.zoo import networks

pytestmark = pytest.mark.alone

SHORT = {"launches": 3, "seconds": 0.3, "block_seconds": 0.02, "warmup_seconds": 0.05}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[NetworkBench]:
    """A vgg8 with random weights, whose only block that can go holds 2.4 of its 3.9 million: what it saves is plain."""
    target = catalog.target("x86-cpu")
    job = Job(
        recipe=Recipe(
            model="vgg8", data="digits", target=target.name, budget="half-latency", prune=Pruning(criterion="latency")
        ),
        target=target,
        budget=budgets.load("half-latency"),
        data=load_dataset("digits"),
        device=connect("local:", target),
        run=Store(tmp_path / "run"),
        shared=Store(tmp_path / "shared"),
        progress=Silent(),
    )
    network = networks.save(job.network(), tmp_path / "weights.safetensors", job.architecture, origin="given")
    with job.resources:
        yield NetworkBench(job, network, None)


@pytest.mark.slow
def test_the_network_is_measured_without_each_block(bench: NetworkBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "QUICK", SHORT)
    found = bench.scores()
    assert found.blocks.keys() == {"stage5"}
    assert found.blocks["stage5"] < 0  # it saves time, so it goes first

    def unused(*_: Any, **__: Any) -> None:
        raise AssertionError("what was found is looked for again")

    bench.job.resources.close()
    monkeypatch.setattr(stages, "PruningProcess", unused)
    assert bench.scores() == found


def test_without_a_device_there_are_no_latencies_of_blocks(bench: NetworkBench) -> None:
    own = replace(bench, job=replace(bench.job, device=None))
    with pytest.raises(NoDeviceError, match="no device") as e:
        own.scores()
    assert "position" in e.value.hint


@pytest.mark.slow
def test_what_is_left_is_of_the_unpruned_network(bench: NetworkBench) -> None:
    left = bench.left(Structure(removed=("stage5",)), ["parameters", "macs", "transfer_bytes"])
    assert left["parameters"] == pytest.approx(0.39, abs=0.01)
    assert 0.3 < left["transfer_bytes"] < 0.5
    assert left["macs"] < 1
