"""Sets of layers to try in integers, from what each takes in floats and in integers."""

from edgekd.deploy.quantise.subsets import Layer, subsets


def layers(*saved_ms, pointwise=0):
    return [Layer(f"w{number}", pointwise, 1.0, 1.0 - saved) for number, saved in enumerate(saved_ms)]


def named(*numbers):
    return frozenset(f"w{number}" for number in numbers)


def test_without_conversions_the_layers_that_integers_make_faster_are_the_first_set():
    assert subsets(layers(0.5, -0.2, 0.3, -0.1), 0.0, 8)[0] == named(0, 2)


def test_where_conversions_cost_runs_of_neighbours_are_tried_too():
    """A layer between two that gain much stays in integers, and one that gains less than two conversions in floats."""
    found = subsets(layers(0.5, -0.1, 0.5, -0.9, 0.05, -0.9), 0.1, 8)
    assert found[0] == named(0, 1, 2)
    assert named(0, 2, 4) in found


def test_wide_pointwise_convolutions_are_tried_and_those_of_them_that_gain():
    wide = [Layer("wide", 96, 1.0, 0.9), Layer("slower", 200, 1.0, 1.2), Layer("narrow", 95, 1.0, 0.5)]
    found = subsets(wide, 0.0, 8)
    assert {frozenset({"wide", "slower"}), frozenset({"wide"}), frozenset({"wide", "narrow"})} <= {*found}


def test_the_layers_that_gain_most_are_tried_alone():
    gaining = layers(0.1, 0.4, 0.2, 0.3, -0.5)
    found = subsets(gaining, 0.0, 8)
    assert {named(0, 1, 2, 3), named(1, 3), named(1)} <= {*found}


def test_each_set_is_tried_once_and_neither_none_nor_all_and_no_more_than_asked_for():
    assert subsets(layers(0.5, 0.5), 0.0, 8) == (named(0),)
    assert subsets(layers(-0.5, -0.5), 0.0, 8) == ()
    many = layers(*(0.1 * (number % 7) - 0.2 for number in range(40)), pointwise=100)
    found = subsets(many, 0.05, 3)
    assert len(found) == len({*found}) == 3


def test_a_layer_whose_time_is_not_known_in_both_is_taken_to_gain_nothing():
    found = subsets([Layer("a", 0, None, 0.1), Layer("b", 0, 1.0, None), Layer("c", 0, 1.0, 0.5)], 0.0, 8)
    assert found == (frozenset("c"),)
