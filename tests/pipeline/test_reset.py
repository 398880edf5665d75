"""The step that gives what is left of a network new random weights."""

from dataclasses import replace

import pytest
import torch

from edgekd import catalog
from edgekd.data.load import load_dataset
from edgekd.gate import budget as budgets
from edgekd.pipeline.job import Job
from edgekd.pipeline.learn import Lessons
from edgekd.pipeline.line import walk
from edgekd.progress import Silent
from edgekd.recipe import recipe
from edgekd.store import Store
from edgekd.zoo import networks


@pytest.fixture
def walked(tmp_path):
    """Takes the steps of a recipe from a network's random weights: what it comes to."""

    def walk_them(*steps, method="widthwise", seed=0):
        given = {"model": "resnet8", "target": "x86-cpu", "steps": list(steps), "prune.method": method, "seed": seed}
        store = Store(tmp_path)
        job = Job(
            recipe=recipe(None, given),
            target=catalog.target("x86-cpu"),
            budget=budgets.load("half-latency"),
            data=load_dataset("digits"),
            device=None,
            run=store,
            shared=store,
            progress=Silent(),
        )
        teacher = replace(job, recipe=job.recipe.model_copy(update={"seed": 7})).network().eval()
        network = networks.save(teacher, tmp_path / "teacher.safetensors", job.architecture, origin="given")
        return networks.load(walk(job, network, 0.5, Lessons(teacher, network.weights.sha256)))

    return walk_them


def test_what_is_pruned_stays_gone_and_nothing_of_the_teacher_is_left(walked):
    pruned, drawn = walked("prune").state_dict(), walked("prune", "reset").state_dict()
    assert {key: value.shape for key, value in drawn.items()} == {key: value.shape for key, value in pruned.items()}
    convolutions = [key for key, value in drawn.items() if value.ndim == 4]
    assert convolutions
    assert not any(torch.equal(drawn[key], pruned[key]) for key in convolutions)


def test_another_seed_draws_other_weights_and_the_same_the_same(walked):
    first, second, other = (walked("prune", "reset", seed=seed).stem[0].weight for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_single_weights_that_were_pruned_stay_zero(walked):
    pruned = walked("prune", method="weights").state_dict()
    drawn = walked("prune", "reset", method="weights").state_dict()
    for key, value in pruned.items():
        if value.ndim > 1:
            assert torch.equal(drawn[key] == 0, value == 0)
            assert not torch.equal(drawn[key], value)
