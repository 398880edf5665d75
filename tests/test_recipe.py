import pytest

from edgekd.errors import EdgekdError
from edgekd.recipe import default_epochs, recipe, settle, to_toml


def test_defaults_make_a_whole_recipe():
    made = recipe(None, {"target": "x86-cpu"})
    assert (made.model, made.data, made.budget) == ("mobilenet_v1:width=0.5", "digits", "half-latency")
    assert (made.recover.temperature, made.recover.ce_weight, made.recover.kd_weight) == (4.0, 0.1, 0.9)


def test_the_command_line_wins_over_the_file_and_the_file_over_defaults(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text('target = "x86-cpu"\nmodel = "resnet8"\nseed = 4\n[prune]\nratio = 0.3\nmargin = 0.1\n')
    made = recipe(path, {"model": "vgg6", "prune.ratio": 0.5, "seed": None})
    assert (made.model, made.seed, made.prune.ratio, made.prune.margin) == ("vgg6", 4, 0.5, 0.1)


@pytest.mark.parametrize("options", [{}, {"beta": 2, "gamma": 0.5}])
def test_a_written_recipe_reads_as_the_same(tmp_path, options):
    made = settle(recipe(None, {"target": "x86-cpu", "prune.ratio": 0.4, "recover.options": options}), 1000)
    assert made.recover.options == options
    path = tmp_path / "recipe.toml"
    path.write_text(to_toml(made))
    assert recipe(path, {}) == made


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('target = "x86-cpu"\n[prune]\nrato = 0.3\n', "ratio"),
        ('target = "x86-cpu"\n[prune]\nratio = 1.5\n', "prune.ratio"),
        ('target = "x86-cpu"\n[teacher]\nepochs = -1\n', "teacher.epochs"),
        ('target = "x86-cpu"\n[recover.options]\nbeta = "8"\n', "recover.options.beta"),
        ('target = "x86-cpu"\n[recover.options]\nbeta = nan\n', "recover.options.beta"),
        ('target = "x86-cpu"\nseed = "many"\n', "seed"),
        ('target = "x86-cpu\n', "TOML"),
        ('model = "resnet8"\n', "target"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_named(tmp_path, text, says):
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(EdgekdError) as e:
        recipe(path, {})
    assert says in e.value.message + e.value.hint
    assert e.value.hint


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(EdgekdError, match=r"none\.toml"):
        recipe(tmp_path / "none.toml", {})


def test_epochs_follow_the_size_of_the_data():
    assert [default_epochs(n) for n in (1_258, 54_000, 1_200_000)] == [30, 11, 3]
    made = settle(recipe(None, {"target": "x86-cpu", "teacher.epochs": 2}), 54_000)
    assert (made.teacher.epochs, made.recover.epochs) == (2, 11)
