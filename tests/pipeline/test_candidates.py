"""What a search finds out about a network, by the process that prunes it and a simulated device."""

from dataclasses import replace

import pytest

from edgekd import catalog
from edgekd.data.load import load_dataset
from edgekd.deploy.writers import onnxruntime as writer
from edgekd.errors import NoDeviceError
from edgekd.gate import budget as budgets
from edgekd.pipeline.candidates import NetworkBench
from edgekd.pipeline.deploy import baseline
from edgekd.pipeline.job import Job
from edgekd.progress import Silent
from edgekd.pruning import stages
from edgekd.store import Store
from edgekd.values import Proposal, Pruning, Recipe, Structure
from edgekd.zoo import networks

WITHOUT = Proposal(structure=Structure(removed=("stage5",)), what="1 of 5 blocks")
FP32, INT8 = "onnxruntime-fp32", "onnxruntime-int8"


@pytest.fixture
def bench(tmp_path, simulated):
    """A vgg8 with random weights, whose only block that can go holds 2.4 of its 3.9 million, on a device whose time is
    in proportion to the weights.
    """
    settings = {"model": "vgg8", "data": "digits", "target": "x86-cpu", "budget": "half-latency"}
    job = Job(
        recipe=Recipe(**settings, prune=Pruning(criterion="latency")),
        target=catalog.target("x86-cpu"),
        budget=budgets.load("half-latency"),
        data=load_dataset("digits"),
        device=simulated(int8=0.5),
        run=Store(tmp_path / "run"),
        shared=Store(tmp_path / "shared"),
        progress=Silent(),
    )
    network = networks.save(job.network(), tmp_path / "weights.safetensors", job.architecture, origin="given")
    with job.resources:
        yield NetworkBench(job, network, None)


@pytest.mark.slow
def test_what_is_left_is_of_the_unpruned_network_and_the_block_that_saves_time_goes_first(bench, monkeypatch):
    left = bench.left(WITHOUT.structure, ["parameters", "macs", "transfer_bytes"])
    assert left["parameters"] == pytest.approx(0.39, abs=0.01)
    assert 0.3 < left["transfer_bytes"] < 0.5
    assert left["macs"] < 1
    found = bench.scores()
    assert found.blocks.keys() == {"stage5"}
    assert found.blocks["stage5"] < 0
    # and all of it is known to a later start
    bench.job.resources.close()
    monkeypatch.setattr(stages, "PruningProcess", None)
    assert replace(bench).scores() == found


def test_without_a_device_there_are_no_latencies_of_blocks(bench):
    own = replace(bench, job=replace(bench.job, device=None))
    with pytest.raises(NoDeviceError, match="no device") as e:
        own.scores()
    assert "position" in e.value.hint


@pytest.mark.slow
def test_a_candidate_is_measured_in_the_variants_that_the_original_passed_in(bench, monkeypatch):
    """INT8 would take half of fp32's time; where the original's failed its check, nothing counts on it."""
    nothing = {"sqnr_db": -300, "top1_agreement": 0}
    lenient = {name: tolerance.model_copy(update=nothing) for name, tolerance in writer.tolerances.items()}
    monkeypatch.setattr(writer, "tolerances", lenient)
    both = baseline(bench.job.means, bench.network, bench.job.deployment)
    alone = replace(both, deployed=both.deployed.model_copy(update={"artifacts": (both.reference,)}))
    counted, dropped = (replace(bench, baseline=each).measure(WITHOUT) for each in (both, alone))
    assert [each.variant for each in counted.latencies] == [FP32, INT8]
    assert INT8 in counted.fits({FP32, INT8})
    assert [each.variant for each in dropped.latencies] == [FP32]
