"""All studies: what they say, and recipes that hold."""

import subprocess
import sys

import pytest
import torch

from edgekd import catalog
from edgekd.catalog import target
from edgekd.errors import EdgekdError
from edgekd.pipeline.search import Searching
from edgekd.pruning.chosen import criterion_of
from edgekd.steps._read import has_pruning, trainings
from edgekd.studies._base import STUDIES
from edgekd.studies._overview import _seconds, overview, scaled, study
from edgekd.studies._results import Plan
from edgekd.studies.run.arms import recipe_of
from edgekd.training.losses._base import LOSSES
from edgekd.zoo.build import build

NAMES = catalog.names(STUDIES)
SCALES = ["smoke", "small", "paper"]


def arms(name, scale="smoke", **changes):
    found = study(name)
    return found.arms(scaled(found, scale, **changes))


def test_the_studies_of_the_literature_are_there():
    assert {"chou2021", "hong2022", "malihi2024", "prakosa2018"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", SCALES)
def test_arms_have_names_of_their_own_and_controls_that_stand_before_them(name, scale):
    known = []
    for arm in arms(name, scale):
        assert arm.name not in known
        assert arm.control is None or arm.control in known
        assert {arm.as_fast_as, arm.as_long_as} <= {None, *known}
        known.append(arm.name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", SCALES)
def test_every_arm_is_a_recipe_of_losses_criteria_and_searches_that_exist(name, scale):
    found = study(name)
    plan = Plan(study=name, data="digits", data_fingerprint="", scale=found.SCALES[scale], seeds=1, target="x86-cpu")
    for arm in found.arms(found.SCALES[scale]):
        for choice in arm.choices or ({},):
            recipe = recipe_of(plan, {**arm.settings, **choice}, 3, (1000, 1, 8, 8), target("x86-cpu"))
            assert recipe.seed == 3
            prunes = has_pruning(recipe)
            stated = recipe.search.ratio is not None or recipe.search.structure is not None
            assert prunes == (stated or arm.is_planned)
            assert stated != arm.is_planned or recipe.student
            assert prunes != (recipe.student is not None)
            criterion_of(recipe.prune.criterion, recipe.prune.options)
            Searching(recipe, has_device=arm.is_planned).check()
            for settings in trainings(recipe):
                # of what a study compares nothing is left open but edgekd's whole default
                assert bool(settings.learning_rate) == bool(settings.losses)
                assert settings.losses or name == "edgekd"
            for settings in (recipe.recover, *trainings(recipe)):
                assert set(settings.losses or ()) <= set(catalog.names(LOSSES))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", SCALES)
def test_every_network_can_be_built(name, scale):
    models = {arm.settings["model"] for arm in arms(name, scale)}
    for arm in arms(name, scale):
        options = [arm.settings, *arm.choices, *arm.settings.get("teachers", ())]
        models |= {o[key] for o in options for key in ("model", "student") if key in o}
    for model in models:
        assert build(model, classes=10, channels=1).eval()(torch.zeros(1, 1, 16, 16)).shape == (1, 10), model


@pytest.mark.parametrize("name", NAMES)
def test_all_arms_of_a_pair_train_for_as_many_epochs(name):
    scale = scaled(study(name), "small")
    for arm in study(name).arms(scale):
        trained = [step for step in arm.settings["steps"] if step["do"] in ("distil", "finetune")]
        epochs = sum(step.get("epochs", scale.epochs) for step in trained)
        assert epochs == (scale.epochs if trained else 0)


def test_epochs_that_are_given_reach_every_step():
    for name in NAMES:
        for arm in arms(name, "smoke", epochs=1):
            assert all(step.get("epochs", 1) == 1 for step in arm.settings["steps"])


def test_the_outline_counts_cells_and_costs_more_at_a_larger_scale():
    small, smoke = (overview("hong2022", scaled(study("hong2022"), scale), 3) for scale in ("small", "smoke"))
    assert smoke.cells == 24
    assert small.minutes > smoke.minutes > 0
    assert overview("hong2022", scaled(study("hong2022"), "small"), 6).minutes > 1.5 * small.minutes


@pytest.mark.parametrize("name", NAMES)
def test_a_small_study_is_meant_to_take_75_minutes_at_most(name):
    assert overview(name, scaled(study(name), "small"), 3).minutes <= 75


def test_an_arm_that_trains_as_long_as_another_is_expected_to_take_its_time():
    scale, speeds = scaled(study("edgekd"), "small"), {"mobilenet_v1:width=0.5": 1000.0}
    ours, *others = study("edgekd").arms(scale)
    labels = next(arm for arm in others if arm.name == "uniform, labels, rate 0.05")
    unpaced = labels.model_copy(update={"as_long_as": None})
    paced, own = (_seconds((ours, arm), scale, 1, speeds) for arm in (labels, unpaced))
    # labels alone need no outputs of the teacher, which takes the time of 2 in 7 images
    assert paced - own == pytest.approx(scale.epochs * scale.train_images / 1000 * 2 / 7)


def test_a_wrong_name_says_which_there_are():
    with pytest.raises(EdgekdError) as wrong:
        study("hong2021")
    assert "hong2022" in wrong.value.hint
    with pytest.raises(EdgekdError) as wrong:
        scaled(study("hong2022"), "smal")
    assert "small" in wrong.value.hint


def test_a_study_imports_no_torch():
    code = "from edgekd.studies._overview import *; import sys; "
    code += "[overview(n, scaled(study(n), 'smoke'), 3) for n in sys.argv[1:]]; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, *NAMES], check=False).returncode == 0
