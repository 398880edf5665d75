import numpy as np
import pytest

from edgekd.deploy.quantise import choice
from edgekd.deploy.quantise.choice import chosen
from edgekd.errors import UnsupportedModelError


@pytest.fixture
def model(chain):
    random = np.random.default_rng(0)
    weights = {
        "w": random.normal(size=(16, 4, 3, 3)),
        "v": random.normal(size=(8, 16, 3, 3)),
        "b": random.normal(size=8),
    }
    return chain([("Conv", ["x", "w"], "c", {}), ("Relu", ["c"], "r", {}), ("Conv", ["r", "v", "b"], "y", {})], weights)


def images(n, outliers=0):
    found = np.random.default_rng(1).normal(size=(n, 4, 8, 8)).astype(np.float32)
    found[:outliers, 0, 0, 0] = 300.0
    return found


def test_the_method_is_chosen_on_images_that_were_held_out(model):
    _, found = chosen(model, images(64, outliers=2))
    assert found.images == 56
    assert (
        set(found.methods)
        == set(found.sqnr_db)
        == {"min-max", "percentile-99.99", "percentile-99.999", "entropy", "mse"}
    )
    assert found.method != "min-max"
    assert found.sqnr_db[found.method] == max(found.sqnr_db.values()) > found.sqnr_db["min-max"] + 3
    assert found.tensors == found.methods[found.method]
    assert found.methods["min-max"]["x"][1] == 300.0 > found.tensors["x"][1]


def test_what_clips_nothing_is_chosen_where_nothing_is_much_better(model, monkeypatch):
    _, before = chosen(model, images(64, outliers=2), equalise=False)
    gain = before.sqnr_db[before.method] - before.sqnr_db["min-max"]
    monkeypatch.setattr(choice, "_MARGIN_DB", gain + 0.1)
    _, found = chosen(model, images(64, outliers=2), equalise=False)
    assert found.method == "min-max"
    assert found.sqnr_db == before.sqnr_db


def test_few_images_give_their_extremes(model):
    _, found = chosen(model, images(32, outliers=1))
    assert (found.method, found.images, found.sqnr_db, found.biases) == ("min-max", 32, {}, {})
    assert set(found.methods) == {"min-max"}


def test_images_that_say_nothing_are_refused(model):
    with pytest.raises(UnsupportedModelError, match="there are no calibration images"):
        chosen(model, images(0))
    with pytest.raises(UnsupportedModelError, match="all calibration images are 0"):
        chosen(model, np.zeros((40, 4, 8, 8), np.float32))


def test_ranges_are_a_document(model):
    _, found = chosen(model, images(40))
    assert type(found).model_validate_json(found.model_dump_json()) == found
