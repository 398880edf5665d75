from dataclasses import replace

import pytest
import safetensors.torch
import torch

from edgekd import catalog
from edgekd.data.load import load_dataset
from edgekd.errors import EdgekdError
from edgekd.gate import budget as budgets
from edgekd.pipeline.job import Job
from edgekd.pipeline.students import Students
from edgekd.progress import Silent
from edgekd.store import Store
from edgekd.values import Pruning, Recipe
from edgekd.values.network import Network
from edgekd.zoo import networks
from edgekd.zoo.cost import nonzero, parameters
from edgekd.zoo.definition import Definition


@pytest.fixture
def job(tmp_path):
    recipe = Recipe(model="resnet14", data="digits", target="x86-cpu", budget="half-latency")
    return Job(
        recipe=recipe,
        target=catalog.target(recipe.target),
        budget=budgets.load(recipe.budget),
        data=load_dataset(recipe.data.source),
        device=None,
        run=Store(tmp_path / "run"),
        shared=Store(tmp_path / "cache"),
        progress=Silent(),
    )


@pytest.fixture
def weights(job, tmp_path):
    return networks.save(job.network(), tmp_path / "teacher.safetensors", job.architecture, origin="given")


def students(job: Job, network: Network, method: str, **options: float | str) -> Students:
    pruning = Pruning(method=method, options=options)
    return Students(job, network.architecture, network.weights, definition=network.definition, pruning=pruning)


@pytest.mark.slow
def test_a_student_is_pruned_further_by_another_method(job, weights):
    with students(job, weights, "widthwise") as narrowed:
        first = narrowed.at(0.5)
    with students(job, first, "weights") as sparse:
        assert 0.5 in sparse.levels()
        second = sparse.at(0.5)
    model = networks.load(second)
    assert (parameters(model), nonzero(model)) == (second.cost.parameters, second.cost.nonzero)
    assert second.cost.parameters == first.cost.parameters < parameters(job.network())
    assert second.cost.nonzero < 0.6 * first.cost.nonzero
    assert second.sparse
    assert Definition.read(second.definition.path).kept == Definition.read(first.definition.path).kept
    assert model(job.example).isfinite().all()


@pytest.mark.slow
def test_other_options_are_another_student_and_stated_defaults_the_same(job, weights):
    with students(job, weights, "filters") as plain, students(job, weights, "filters", scope="layer") as stated:
        first = plain.at(0.4)
        assert stated.at(0.4) == first
    with students(job, weights, "filters", scope="global") as ranked:
        second = ranked.at(0.4)
    assert second.weights.path != first.weights.path
    assert second.weights.sha256 != first.weights.sha256
    # none of them judges by data: two images, to prove what they make
    [images] = (job.run.root / "stages").glob("calibration-*/calibration.safetensors")
    assert len(safetensors.torch.load_file(images)["images"]) == 2


@pytest.mark.slow
def test_methods_that_judge_by_data_see_training_images_of_all_classes(job, weights):
    with students(job, weights, "channels", criterion="taylor") as judged:
        judged.at(0.5)
    (stored,) = (job.run.root / "stages").glob("calibration-*/calibration.safetensors")
    tensors = safetensors.torch.load_file(stored)
    assert tensors["images"].shape == (256, 1, 16, 16)
    assert set(tensors["labels"].tolist()) == set(range(10))
    images, labels = (torch.cat(parts) for parts in zip(*job.data.train.batches(256), strict=True))
    found = [(images == image).all(dim=(1, 2, 3)).nonzero()[0].item() for image in tensors["images"][:20]]
    assert torch.equal(labels[found], tensors["labels"][:20])


def test_options_are_refused_before_anything_is_pruned(job, weights):
    with pytest.raises(EdgekdError, match="the method 'filters' has no 'scpe'"):
        students(job, weights, "filters", scpe="global")
    with pytest.raises(EdgekdError, match="'filterz'"):
        students(job, weights, "filterz")
    assert not job.run.root.exists()


def test_what_was_tried_is_not_tried_again(job):
    with Students(job, job.architecture, None) as students:
        assert students.tried(0.5) == (0.5,)
        least, most = students.tried(None)
        assert least < 0.5 < most
        assert (least, most) == (students.levels()[1], students.levels()[-1])
    elsewhere = replace(job, run=Store(job.run.root.parent / "another"))
    with Students(elsewhere, job.architecture, None) as again:
        assert again.tried(0.5) == (0.5,)
        assert again._pruner is None
