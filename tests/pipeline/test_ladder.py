import numpy as np
import pytest
import torch

from edgekd import catalog
from edgekd.data.load import load_dataset
from edgekd.pipeline.job import Job
from edgekd.pipeline.ladder import Written, write_rungs
from edgekd.progress import Silent
from edgekd.results import Dropped
from edgekd.schema import Recipe
from edgekd.store import Store


@pytest.fixture
def job(tmp_path):
    return Job(
        recipe=Recipe(model="resnet8", data="digits", target="x86-cpu", budget="half-latency"),
        target=catalog.target("x86-cpu"),
        budget=catalog.budget("half-latency"),
        data=load_dataset("digits"),
        device=None,
        run=Store(tmp_path / "run"),
        shared=Store(tmp_path / "shared"),
        progress=Silent(),
    )


def test_a_precision_that_cannot_be_written_is_dropped_with_its_reason_and_the_others_stay(job, tmp_path):
    torch.manual_seed(0)
    calibration = np.full((4, *job.data.train.shape), np.nan, dtype=np.float32)
    rungs = list(write_rungs(job, "net", job.network(), tmp_path, calibration=calibration, sha256="0" * 64))
    written = [rung.artifact.precision for rung in rungs if isinstance(rung, Written)]
    dropped = [rung for rung in rungs if isinstance(rung, Dropped)]
    assert written == ["fp32"]
    assert [gone.name for gone in dropped] == ["net-int8"]
    assert "quantiser failed: " in dropped[0].why
