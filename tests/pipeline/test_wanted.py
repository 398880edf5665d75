from dataclasses import replace

import pytest

from edgekd.data.load import load_dataset
from edgekd.pipeline.wanted import believed, wanted
from edgekd.values import Data, Preprocessing, Recipe

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
PHOTOS = Preprocessing(height=224, width=224, resize=256, crop="center", colour="rgb", mean=(0.3,) * 3, std=(0.2,) * 3)


@pytest.mark.parametrize(("mean", "std"), [((0.0,), (1.0,)), ((0.3,), (0.9,))])
def test_mean_and_deviation_that_the_images_belie_are_not_passed_on(mean, std):
    """A data set of the user's own that normalises its images and states something else."""
    honest = load_dataset("digits")
    assert believed(honest) == honest
    found = believed(replace(honest, mean=mean, std=std))
    assert found.preprocessing.colour is None
    assert "not between black and white" in found.notes[-1]


class Prepared:
    def __init__(self, how):
        self.preprocessing = how


def recipe(model, weights="w.pt", **data):
    return Recipe(model=model, weights=weights, data=Data(source="folder:x", **data), target="x86-cpu", budget="b")


def test_a_librarys_model_with_weights_is_fed_as_its_library_does():
    found = wanted(recipe("torchvision:efficientnet_v2_l"), Prepared(PHOTOS))
    assert (found.mean, found.std) == ((0.5,) * 3, (0.5,) * 3)
    assert (found.size, found.resize, found.crop, found.interpolation) == ((480, 480), 480, "center", "bicubic")


@pytest.mark.parametrize("how", [{"crop": "none", "resize": None}, {"height": 32, "width": 32, "resize": 37}])
def test_images_that_are_no_large_photographs_keep_their_size(how):
    found = wanted(recipe("torchvision:resnet18"), Prepared(PHOTOS.model_copy(update=how)))
    assert (found.mean, found.std) == IMAGENET
    assert found.size is None


def test_what_is_said_stays():
    said = recipe("torchvision:inception_v3", mean="0.5", size=128)
    assert wanted(said, Prepared(PHOTOS)) == said.data


@pytest.mark.parametrize(
    ("model", "weights"), [("torchvision:resnet18", None), ("resnet32", "w.pt"), ("mine:make", "w.pt")]
)
def test_others_are_fed_by_the_data_itself(model, weights):
    said = recipe(model, weights)
    assert wanted(said, Prepared(PHOTOS)) == said.data


def test_no_librarys_weights_are_for_grey_images():
    said = recipe("torchvision:resnet18")
    assert wanted(said, load_dataset("digits")) == said.data
