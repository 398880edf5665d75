import json
import os
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from edgekd import catalog
from edgekd.data.fixed_images import sample_images
from edgekd.data.load import load_dataset
from edgekd.deploy.check import compare, failure
from edgekd.deploy.outputs import Runner
from edgekd.deploy.writers.onnxruntime import tolerances
from edgekd.errors import UnsupportedModelError
from edgekd.gate import budget as budgets
from edgekd.measuring.artifact import describe
from edgekd.pipeline.job import Job
from edgekd.pipeline.ladder import Written, ladder, write_rungs
from edgekd.progress import Silent
from edgekd.store import Store
from edgekd.training.evaluate import outputs
from edgekd.values import Export, Recipe
from edgekd.values.result import Dropped
from edgekd.zoo import networks


@pytest.fixture
def job(tmp_path):
    return Job(
        recipe=Recipe(model="resnet8", data="digits", target="x86-cpu", budget="half-latency"),
        target=catalog.target("x86-cpu"),
        budget=budgets.load("half-latency"),
        data=load_dataset("digits"),
        device=None,
        run=Store(tmp_path / "run"),
        shared=Store(tmp_path / "shared"),
        progress=Silent(),
    )


def saved(job, model, folder):
    return networks.save(model, folder / "w.safetensors", job.architecture, origin="given")


def test_a_precision_that_cannot_be_written_is_dropped_with_its_reason_and_the_others_stay(job, tmp_path):
    torch.manual_seed(0)
    calibration = np.full((4, *job.data.train.shape), np.nan, dtype=np.float32)
    rungs = list(write_rungs(job, "net", saved(job, job.network(), tmp_path), tmp_path, calibration=calibration))
    written = [rung.artifact.precision for rung in rungs if isinstance(rung, Written)]
    dropped = [rung for rung in rungs if isinstance(rung, Dropped)]
    assert written == ["fp32"]
    assert [gone.name for gone in dropped] == ["net-int8"]
    assert "quantiser failed: " in dropped[0].why


@pytest.mark.parametrize("include", [False, True])
def test_every_rung_says_how_it_is_fed_whatever_the_classes_are_called(job, tmp_path, include):
    classes = (*range(8), os.fsdecode(b"caf\xe9"), "日本 | `x`")
    recipe = job.recipe.model_copy(update={"export": Export(include_preprocessing=include)})
    job = replace(job, recipe=recipe, data=replace(job.data, classes=classes))
    torch.manual_seed(0)
    model = job.network().eval()
    calibration = sample_images(job.data.train, 8)
    rungs = list(write_rungs(job, "net", saved(job, model, tmp_path), tmp_path, calibration=calibration))
    assert [rung.artifact.precision for rung in rungs] == ["fp32", "int8"]
    images = sample_images(job.data.val, 32)
    expected = outputs(model, images)
    for rung in rungs:
        told = {entry.key: entry.value for entry in onnx.load(rung.path).metadata_props}
        assert json.loads(told["edgekd.classes"])[7:] == ["7", "caf\\udce9", "日本 | `x`"]
        assert describe(rung.path, name="net", runtime="onnxruntime").files[0].sha256 == rung.artifact.files[0].sha256
        found = compare(expected, Runner(rung.path, "onnxruntime", job.feeding)(images))
        assert failure(found, tolerances[rung.artifact.precision]) is None


def test_a_network_that_gives_nan_itself_is_told_apart_from_a_bad_export(job, tmp_path):
    model = job.network()
    model.get_submodule("stem.1").running_var.fill_(1e-30)  # every weight is finite
    with torch.no_grad():
        model.get_submodule("stem.0").weight.mul_(1e38)
    with pytest.raises(UnsupportedModelError, match="the baseline gives NaN or infinity on real images, before any"):
        ladder(job, saved(job, model, tmp_path), "baseline")
