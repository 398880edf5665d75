"""Which groups the channels of each layer are of: the widths of all layers follow from those of the groups."""

import random
from collections.abc import Callable

import pytest
import torch
from torch import nn

from edgekd.pruning.apply import apply
from edgekd.pruning.chosen import criterion_of
from edgekd.pruning.criteria._base import Subject
from edgekd.pruning.explore import space_of
from edgekd.pruning.graph import inputs_of, outputs_of
from edgekd.values import Structure
from edgekd.zoo.build import build

SPECS = [
    "mobilenet_v1:width=0.25,blocks512=1",
    "mobilenet_v2:width=0.5",
    "mobilenet_v3_small",
    "resnet8",
    "vgg6",
    "densenet_bc40",
    "efficientnet_b0:width=0.5,depth=0.3",
]


@pytest.mark.parametrize("spec", SPECS)
def test_widths_of_layers_follow_from_those_of_groups(spec: str, subject_of: Callable[..., Subject]) -> None:
    torch.manual_seed(0)
    model, choose = build(spec, classes=10, channels=1).eval(), random.Random(0)
    subject = subject_of(model)
    space = space_of(model, subject.example, channel_block=4, kinds=["channels"])
    widths = {group.root: choose.choice(group.allowed) for group in space.groups}
    narrower = {group.root: widths[group.root] for group in space.groups if widths[group.root] < group.width}
    found = apply(subject, Structure(widths=narrower), criterion_of("l1", {})[0]).model
    layers = {name: layer for name, layer in found.named_modules() if isinstance(layer, (nn.Conv2d, nn.Linear))}
    assert {layer.name for layer in space.layers} == set(layers)
    for layer in space.layers:
        own = layers[layer.name]
        assert space.widths_of(layer, widths) == (inputs_of(own), outputs_of(own)), layer.name
    whole = dict(model.named_modules())
    assert all(
        space.widths_of(one, {}) == (inputs_of(whole[one.name]), outputs_of(whole[one.name])) for one in space.layers
    )


def test_all_pixels_of_a_map_that_is_flattened_count(plain: nn.Module, subject_of: Callable[..., Subject]) -> None:
    space = space_of(plain, subject_of(plain).example, channel_block=8, kinds=["channels"])
    (head,) = (layer for layer in space.layers if layer.name == "head")
    assert head.inputs_of == {"second": 32 * 16}
    assert space.widths_of(head, {"second": 8}) == (8 * 16, 10)


def test_layers_whose_channels_change_places_are_followed_too(
    reordering: nn.Module, subject_of: Callable[..., Subject]
) -> None:
    space = space_of(reordering, subject_of(reordering).example, channel_block=8, kinds=["channels"])
    widths = {group.root: group.allowed[0] for group in space.groups}
    found = apply(subject_of(reordering), Structure(widths=widths), criterion_of("l1", {})[0]).model
    for layer in space.layers:
        own = found.get_submodule(layer.name)
        assert space.widths_of(layer, widths) == (inputs_of(own), outputs_of(own)), layer.name
