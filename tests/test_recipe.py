import pytest

from edgekd.errors import EdgekdError
from edgekd.recipe import recipe, settle, to_toml
from edgekd.values import Data, SearchSettings, Structure
from edgekd.values.defaults import default_epochs


def test_defaults_make_a_whole_recipe():
    made = recipe(None, {"target": "x86-cpu"})
    assert (made.model, made.data.source, made.budget) == ("mobilenet_v1:width=0.5", "digits", "half-latency")
    assert (made.recover.losses, made.recover.learning_rate, made.recover.race) == (None, None, 0.0)
    assert [step.do for step in made.steps] == ["prune", "distil"]


def test_the_command_line_wins_over_the_file_and_the_file_over_defaults(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text('target = "x86-cpu"\nmodel = "resnet8"\nseed = 4\n[search]\nratio = 0.3\nmargin = 0.1\n')
    made = recipe(path, {"model": "vgg6", "search.ratio": 0.5, "seed": None})
    assert (made.model, made.seed, made.search.ratio, made.search.margin) == ("vgg6", 4, 0.5, 0.1)


def test_a_loss_is_short_for_its_weight_and_a_step_for_its_name(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(
        'target = "x86-cpu"\n'
        'steps = ["distil", {do = "prune", share = 0.5}, "finetune", "prune", {do = "distil", epochs = 2}]\n'
        "[recover.losses]\nce = 1\ndkd = {weight = 2, beta = 4}\n"
    )
    made = recipe(path, {})
    assert made.recover.losses == {"ce": {"weight": 1}, "dkd": {"weight": 2, "beta": 4}}
    assert [(step.do, step.settings) for step in made.steps] == [
        ("distil", {}),
        ("prune", {"share": 0.5}),
        ("finetune", {}),
        ("prune", {}),
        ("distil", {"epochs": 2}),
    ]


def test_a_criterion_has_options_of_numbers_and_words(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text('target = "x86-cpu"\n[prune.options]\nscope = "layer"\nseed = 3\n')
    assert recipe(path, {}).prune.options == {"scope": "layer", "seed": 3.0}
    made = recipe(None, {"target": "x86-cpu", "prune.criterion": "filter_l1"})
    assert (made.prune.criterion, made.prune.options) == ("filter_l1", {})


def test_a_ratio_on_the_command_line_takes_the_place_of_the_structure_in_the_file(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(
        'target = "x86-cpu"\n[search]\nmethod = "fixed"\nmargin = 0.1\n'
        '[search.structure]\nremoved = ["stage1.0"]\n[search.structure.widths]\n"stem.0" = 8\n'
    )
    stated = SearchSettings(
        method="fixed", margin=0.1, structure=Structure(widths={"stem.0": 8}, removed=("stage1.0",))
    )
    assert recipe(path, {}).search == stated
    assert recipe(path, {"search.ratio": 0.3}).search == SearchSettings(margin=0.1, ratio=0.3)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("ratio = 0.4", "prune.ratio is search.ratio now", "[search] ratio ="),
        ("keep = {macs = 0.5}", "prune.keep is search.keep now", "[search] keep ="),
        ("margin = 0.1", "prune.margin is search.margin now", "[search] margin ="),
        ('method = "widthwise"', "prune.method is prune.criterion now", 'criterion = "l1"'),
        ('method = "layerwise"', "prune.method is prune.criterion now", '"position", "influence" or "latency"'),
        ('method = "mine"', "prune.method is prune.criterion now", "a criterion"),
    ],
)
def test_a_recipe_of_an_earlier_version_is_refused_with_what_to_write(tmp_path, text, message, hint):
    path = tmp_path / "r.toml"
    path.write_text(f'target = "x86-cpu"\n[prune]\n{text}\n')
    with pytest.raises(EdgekdError) as e:
        recipe(path, {})
    assert e.value.message == f"{path}: {message}"
    assert hint in e.value.hint


def test_data_is_short_for_its_source_and_the_command_line_changes_that_alone(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text('target = "x86-cpu"\ndata = "folder:a"\n')
    assert recipe(path, {"data.size": 64}).data == Data(source="folder:a", size=64)
    path.write_text('target = "x86-cpu"\n[data]\nsource = "folder:a"\nsize = [32, 48]\nmean = "imagenet"\n')
    made = recipe(path, {"data.source": "folder:b", "data.std": "imagenet"})
    assert made.data == Data(source="folder:b", size=(32, 48), mean="imagenet", std="imagenet")


@pytest.mark.parametrize(
    "more",
    [{}, {"recover.losses": {"dist": {"beta": 2.0}}, "steps": [{"do": "finetune", "epochs": 3}, "qat", "distil"]}],
)
def test_a_written_recipe_reads_as_the_same(tmp_path, more):
    made = settle(recipe(None, {"target": "x86-cpu", "search.ratio": 0.4, **more}), (1000, 1, 8, 8))
    path = tmp_path / "recipe.toml"
    path.write_text(to_toml(made))
    assert recipe(path, {}) == made


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('target = "x86-cpu"\n[search]\nrato = 0.3\n', "ratio"),
        ('target = "x86-cpu"\n[search]\nratio = 1.5\n', "search.ratio"),
        ('target = "x86-cpu"\n[teacher]\nepochs = -1\n', "teacher.epochs"),
        ('target = "x86-cpu"\n[recover.losses.dkd]\nbeta = "8"\n', "recover.losses.dkd.beta"),
        ('target = "x86-cpu"\n[recover.losses.dkd]\nbeta = nan\n', "recover.losses.dkd.beta"),
        ('target = "x86-cpu"\n[recover.losses]\nkd = -1\n', "recover.losses.kd"),
        ('target = "x86-cpu"\nsteps = ["purne"]\n', "steps.0: no step 'purne'"),
        ('target = "x86-cpu"\nsteps = [{epochs = 1}]\n', "steps.0.do"),
        (
            'target = "x86-cpu"\nsteps = [{do = "prune", epochs = 5}]\n',
            "steps.0: the step 'prune' has no setting 'epochs'",
        ),
        ('target = "x86-cpu"\nsteps = ["prune", "qat"]\n', "steps.1: nothing is trained after 'qat'"),
        ('target = "x86-cpu"\nsteps = ["int8", "distil"]\n', "steps.0: the step 'int8' was renamed to 'qat'"),
        ('target = "x86-cpu"\ntutors = [{model = "resnet8"}]\n', "'tutors' is now called 'teachers'"),
        ('target = "x86-cpu"\nsteps = []\n', "at least one step"),
        ('target = "x86-cpu"\nsteps = [{do = "prune", share = 0.5}, "distil"]\n', "increase to 1"),
        ('target = "x86-cpu"\nsteps = ["prune", {do = "prune", share = 0.5}]\n', "increase to 1"),
        ('target = "x86-cpu"\n[prune.options]\nscope = true\n', "prune.options.scope"),
        ('target = "x86-cpu"\n[prune.options]\nseed = inf\n', "prune.options.seed"),
        ('target = "x86-cpu"\nseed = "many"\n', "seed"),
        ('target = "x86-cpu"\ndata = 3\n', "data"),
        ('target = "x86-cpu"\n[data]\nsource = "digits"\nsise = 3\n', "size"),
        ('target = "x86-cpu"\n[data]\nsize = 32\n', "data.source"),
        (
            'target = "x86-cpu"\n[data]\nsource = "digits"\nrandom_resized_crop = [0.9, 0.2]\n',
            "the least and the most of the area",
        ),
        ('target = "x86-cpu"\n[data]\nsource = "digits"\nsize = "big"\n', "data.size: should be a number of pixels"),
        ('target = "x86-cpu"\n[data]\nsource = "digits"\nsize = 99999\n', "Correct size."),
        (
            'target = "x86-cpu"\n[data]\nsource = "digits"\nstd = [0.0]\n',
            "numbers above 0, or imagenet, 0.5, 0-1 or data",
        ),
        ('target = "x86-cpu"\n[data]\nsource = "digits"\nmean = "image-net"\n', "numbers, or imagenet"),
        ('target = "x86-cpu\n', "TOML"),
        (f'target = "x86-cpu"\nseed = {"9" * 10_000}\n', "4300 digits"),
        (f'target = "x86-cpu"\nseed = {"9" * 4_000}\n', "seed"),
        (f'target = "x86-cpu"\nsteps = {"[" * 10_000}{"]" * 10_000}\n', "nested too deeply"),
        (f'target = "x86-cpu"\n{".".join(["a"] * 5000)} = 1\n', "a key of more than 100 parts"),
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


def test_a_byte_order_mark_is_no_part_of_a_recipe(tmp_path):
    (tmp_path / "r.toml").write_bytes(b'\xef\xbb\xbftarget = "x86-cpu"\n')
    assert recipe(tmp_path / "r.toml", {}).target == "x86-cpu"


def test_a_path_that_is_not_utf_8_is_reported(tmp_path):
    weights = b"/w\xff.pt".decode(errors="surrogateescape")
    with pytest.raises(EdgekdError, match=r"weights: /w.* isn't plain UTF-8 text") as e:
        recipe(None, {"target": "x86-cpu", "weights": weights})
    assert "Rename it" in e.value.hint


def test_a_recipe_that_states_threads_is_refused_with_where_they_belong(tmp_path):
    (tmp_path / "r.toml").write_text('target = "x86-cpu"\n[measure]\nthreads = 4\nspinning = false\n')
    with pytest.raises(EdgekdError, match="threads and spinning are no longer read here: write it into the settings"):
        recipe(tmp_path / "r.toml", {})


def test_what_is_stated_of_measuring_changes_nothing_else_of_it(tmp_path):
    usual = recipe(None, {"target": "x86-cpu"}).measure
    (tmp_path / "r.toml").write_text('target = "x86-cpu"\n[measure]\nlaunches = 20\n')
    assert recipe(tmp_path / "r.toml", {}).measure == usual.model_copy(update={"launches": 20})


def test_files_of_weights_are_found_wherever_the_runs_recipe_is_used(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.toml").write_text(
        'target = "x86-cpu"\nweights = "w.pt"\n'
        'teachers = [{model = "resnet8", weights = "sub/t.pt"}, {model = "resnet20"}]\n'
    )
    made = recipe(tmp_path / "r.toml", {})
    assert made.weights == str(tmp_path / "w.pt")
    assert [one.weights for one in made.teachers] == [str(tmp_path / "sub/t.pt"), None]


def test_epochs_that_have_no_effect_are_refused(tmp_path):
    (tmp_path / "r.toml").write_text('target = "x86-cpu"\nsteps = ["prune", {do = "distil", epochs = 3}]\n')
    with pytest.raises(EdgekdError, match="--epochs: the recipe's steps state their own epochs"):
        recipe(tmp_path / "r.toml", {"recover.epochs": 50})
    assert recipe(tmp_path / "r.toml", {"recover.epochs": None}).steps
    (tmp_path / "r.toml").write_text(
        'target = "x86-cpu"\nsteps = [{do = "prune", share = 0.5}, {do = "distil", epochs = 3}, "prune", "distil"]\n'
    )
    assert recipe(tmp_path / "r.toml", {"recover.epochs": 50}).recover.epochs == 50


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(EdgekdError, match=r"none\.toml"):
        recipe(tmp_path / "none.toml", {})


def test_epochs_follow_the_size_of_the_data():
    assert [default_epochs(n) for n in (1_258, 54_000, 1_200_000)] == [30, 11, 3]
    made = settle(recipe(None, {"target": "x86-cpu", "teacher.epochs": 2}), (54_000, 1, 28, 28))
    assert (made.teacher.epochs, made.recover.epochs) == (2, 11)


def test_batches_follow_the_size_of_the_images():
    sizes = (8, 112, 160, 224, 384, 1024)
    found = [settle(recipe(None, {"target": "x86-cpu"}), (100, 3, n, n)) for n in sizes]
    assert [made.teacher.batch_size for made in found] == [128, 128, 32, 32, 8, 8]
    stated = recipe(None, {"target": "x86-cpu", "recover.batch_size": 64})
    assert settle(stated, (100, 3, 224, 224)).recover.batch_size == 64
    assert "batch_size = 32" in to_toml(found[3])


def test_files_that_stand_for_names_are_found_from_any_folder(tmp_path, monkeypatch):
    """The run's folder has the recipe, and its report commands with these."""
    monkeypatch.chdir(tmp_path)
    made = recipe(None, {"model": "resnet8", "data.source": "digits", "target": "x86-cpu", "budget": "mine.toml"})
    assert made.budget == str(tmp_path / "mine.toml")
    assert made.target == "x86-cpu"
