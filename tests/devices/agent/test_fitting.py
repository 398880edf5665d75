import fitting
import pytest


def given(name, *shape, dtype="float32"):
    return {"name": name, "shape": list(shape), "dtype": dtype}


IMAGE = given("image", "N", 3, "height", "width")
TWO = [IMAGE, given("mask", "N", "height", "width"), given("ids", "N", "length", dtype="int64")]


def test_all_open_axes_are_reported_at_once_with_options_that_do():
    with pytest.raises(fitting.WrongInputsError) as e:
        fitting.complete(TWO, 1, {})
    for axis in (
        "axis 2 (height) of input 'image'",
        "axis 3 (width) of input 'image'",
        "axis 1 (length) of input 'ids'",
    ):
        assert axis in str(e.value)
    # pasted, they do: axes of one name are equal
    assert e.value.hint == "Specify it, for example --shape image=1x3x224x224 --shape mask=1x224x224 --shape ids=1x16"
    pasted = {"image": [1, 3, 224, 224], "mask": [1, 224, 224], "ids": [1, 16]}
    assert fitting.complete(TWO, 1, pasted) == pasted


def test_a_given_shape_gives_axes_of_its_names_elsewhere_their_sizes():
    shapes = {"image": [2, 3, 32, 48], "ids": [2, 7]}
    assert fitting.complete(TWO, 1, shapes) == {**shapes, "mask": [2, 32, 48]}
    with pytest.raises(fitting.WrongInputsError) as e:
        fitting.complete(TWO, 1, {"image": [2, 3, 32, 48]})
    assert e.value.hint == "Specify it, for example --shape ids=2x16"


def test_names_with_other_characters_are_quoted():
    with pytest.raises(fitting.WrongInputsError) as e:
        fitting.complete([given("in put;", 1, None)], 1, {})
    assert e.value.hint == "Specify it, for example --shape 'in put;=1x16'"


@pytest.mark.parametrize(
    ("shapes", "says", "hint"),
    [
        (
            {"picture": [1]},
            "the model has no input 'picture'; its inputs are 'image' (float32 Nx3xheightxwidth), 'mask'",
            "image=1x3x",
        ),
        ({"": [1]}, "the model has several inputs; --shape needs a name", "--shape image=1x3x224x224"),
        (
            {"image": [1, 3, 8]},
            "input 'image' has shape Nx3xheightxwidth, which 1x3x8 doesn't match",
            "--shape image=1x3x",
        ),
        (
            {"image": [1, 4, 8, 8]},
            "input 'image' has shape Nx3xheightxwidth, which 1x4x8x8 doesn't match",
            "--shape image=1x3x",
        ),
    ],
)
def test_wrong_names_and_ranks_are_reported_with_the_right_ones(shapes, says, hint):
    with pytest.raises(fitting.WrongInputsError) as e:
        fitting.complete(TWO, 1, shapes)
    assert says in str(e.value)
    assert hint in e.value.hint


@pytest.mark.parametrize(
    ("inputs", "batch"),
    [
        ([given("x", 0, 32, 32, 32)], 4),
        ([given("x", 0, 10), given("threshold")], 1),
        ([given("x", 0, 3, 8, 8), given("scale", 2)], 1),
    ],
)
def test_no_image_at_all_is_refused(inputs, batch):
    with pytest.raises(fitting.WrongInputsError, match="axis 0 of input 'x' has size 0"):
        fitting.complete(inputs, batch, {})


def test_an_empty_array_beside_an_image_is_none_of_its_axes():
    assert fitting.complete([given("x", 1, 3, 8, 8), given("roi", 0)], 1, {})["roi"] == [0]
