"""The steps of a recipe, read by their modules."""

import pytest

from edgekd import catalog
from edgekd.errors import EdgekdError
from edgekd.steps._base import STEPS
from edgekd.steps._read import has_pruning, read_steps, trainings
from edgekd.values import Recipe, Recovery, Step


def steps(*stated):
    return tuple(Step.model_validate(step) for step in stated)


def recipe(*stated, **more):
    return Recipe(model="resnet8", data="digits", target="x86-cpu", budget="half-latency", steps=steps(*stated), **more)


def test_a_name_is_short_for_a_step_with_its_defaults():
    (prune, distil) = read_steps(steps("prune", {"do": "distil", "epochs": 3}))
    assert (prune.do, prune.settings.share) == ("prune", 1.0)
    assert (distil.settings.epochs, distil.settings.learning_rate, distil.settings.losses) == (3, None, None)


@pytest.mark.parametrize(
    ("stated", "message", "hint"),
    [
        ([], "steps: at least one step is required", "distil"),
        (["purne"], "steps.0: no step 'purne'", "Did you mean 'prune'?"),
        (
            [{"do": "prune", "epochs": 5}],
            "steps.0: the step 'prune' has no setting 'epochs'",
            "a setting of 'prune': share, repair.",
        ),
        (
            ["prune", {"do": "finetune", "losses": {"kd": 1}}],
            "steps.1: the step 'finetune' has no setting 'losses'",
            "epochs, learning_rate",
        ),
        (
            [{"do": "qat", "images": 5}, "distil"],
            "the step 'qat' has no setting 'images'",
            "use a setting of 'qat': ranges",
        ),
        (["prune", "qat"], "steps.1: nothing is trained after 'qat'", "Correct the order"),
        (["distil", "qat", "prune", "reset"], "steps.1: nothing is trained after 'qat'", "Correct the order"),
        (["int8", "distil"], "steps.0: the step 'int8' was renamed to 'qat'", 'Write "qat"'),
        ([{"do": "distil", "epochs": 0}], "steps.0 (distil): epochs", "Correct epochs"),
        (
            [{"do": "prune", "share": 0.5}, "distil"],
            "steps.0: the shares of the prune steps must increase to 1",
            "order",
        ),
        (["prune", {"do": "prune", "share": 0.5}], "must increase to 1", "order"),
        ([{"do": "prune", "share": 0.5}, {"do": "prune", "share": 0.5}, "prune"], "steps.1: the shares", "order"),
    ],
)
def test_what_has_no_effect_or_no_meaning_is_refused(stated, message, hint):
    with pytest.raises(EdgekdError) as e:
        read_steps(steps(*stated), "mine.toml")
    assert e.value.message.startswith("mine.toml: steps")
    assert message in e.value.message
    assert hint in e.value.hint


def test_a_step_trains_as_the_recipe_says_with_what_it_states_in_its_place():
    recover = Recovery(epochs=7, learning_rate=0.3, losses={"dkd": {"weight": 1.0}})
    own = {"do": "distil", "epochs": 3, "learning_rate": 0.5, "losses": {"kd": 1}}
    stated = recipe("prune", "distil", own, "reset", {"do": "finetune", "epochs": 2}, recover=recover)
    first, second, third = trainings(stated)
    assert first == recover
    assert second == Recovery(epochs=3, learning_rate=0.5, losses={"kd": {"weight": 1}})
    assert third == Recovery(epochs=2, learning_rate=0.3, losses={"ce": {"weight": 1.0}})


def test_whether_a_recipe_prunes_is_what_its_steps_say():
    assert has_pruning(recipe("distil", "prune"))
    assert not has_pruning(recipe("distil", "finetune"))


@pytest.mark.parametrize("name", catalog.names(STEPS))
def test_the_settings_of_every_step_have_defaults_and_cannot_change(name):
    settings = catalog.load(STEPS, name).Settings
    assert settings.model_config["frozen"]
    assert settings.model_validate({}) == settings()
