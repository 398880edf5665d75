import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgekd.data.load import load_dataset
from edgekd.pipeline.origins import data_origin, lineage, network_origin, stated, without_folders
from edgekd.values import FurtherTeacher, Recipe
from edgekd.zoo import networks


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("digits", "digits"),
        ("photos", "photos"),
        ("folder:photos", "folder:photos"),
        ("folder:/home/alice/photos", "folder:photos"),
        ("folder:/home/al:ice/photos", "folder:photos"),
        ("folder:../alice/photos/", "folder:photos"),
        ("/home/alice/w.pt", "w.pt"),
        ("/home/al:ice/w.pt", "w.pt"),
        ("C:\\Users\\alice\\w.pt", "C:w.pt"),
        ("my_package.data:load", "my_package.data:load"),
    ],
)
def test_of_a_path_only_the_last_part_is_stated(text, kept):
    assert without_folders(text) == kept


def test_the_home_folder_itself_is_not_named(monkeypatch):
    monkeypatch.setenv("HOME", "/home/alice")
    assert without_folders("folder:/home/alice") == "folder:home"
    assert without_folders("folder:~/photos") == "folder:photos"


def test_a_recipe_is_stated_whole_but_without_folders():
    recipe = Recipe(
        model="torchvision:resnet18",
        weights="/home/alice/w.pt",
        target="/home/alice/mine.toml",
        budget="../alice/budget.toml",
        data={"source": "folder:/home/alice/photos"},
        teachers=[FurtherTeacher(model="resnet8", weights="/home/alice/t.pt")],
    )
    found = stated(recipe)
    assert "alice" not in json.dumps(found)
    again = Recipe.model_validate(found)
    assert (again.weights, again.target, again.budget, again.data.source) == (
        *("w.pt", "mine.toml", "budget.toml"),
        "folder:photos",
    )
    assert again.teachers[0].weights == "t.pt"
    kept = {"data", "weights", "target", "budget", "teachers"}
    assert again.model_dump(exclude=kept) == recipe.model_dump(exclude=kept)


def test_every_setting_that_may_be_a_path_is_looked_at():
    """A new field of the recipe that holds text is decided on here."""
    texts = {name for name, field in Recipe.model_fields.items() if "str" in str(field.annotation)}
    assert texts == {"model", "target", "budget", "weights", "student"}, "does it hold a path?"


@pytest.fixture
def network(tmp_path):
    data = load_dataset("digits")
    architecture = networks.architecture("resnet8", classes=10, shape=data.train.shape)
    made = networks.untrained(architecture, 0)
    return networks.save(made, tmp_path / "w.safetensors", architecture, origin="trained")


def test_a_network_is_known_by_what_it_computes_and_its_weights(network):
    origin = network_origin(network)
    assert (origin.model, origin.weights) == ("resnet8", network.weights.sha256)
    cut = network.model_copy(update={"definition": network.weights.model_copy(update={"path": Path("student.json")})})
    assert network_origin(cut).structure != origin.structure
    assert network_origin(cut).weights == origin.weights


def test_the_original_has_no_teacher(network):
    data, own = load_dataset("digits"), network_origin(network)
    assert lineage(network, data, own).teacher is None
    other = own.model_copy(update={"weights": "0" * 64})
    assert lineage(network, data, other).teacher == other


def test_the_images_are_known_by_their_content(network):
    data = load_dataset("digits")
    found = data_origin(replace(data, name="folder:/home/alice/digits"))
    assert found.name == "folder:digits"
    assert found.fingerprint == data.content
    assert (found.train, found.validation, found.test) == (len(data.train), len(data.val), len(data.test))
