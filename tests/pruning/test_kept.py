from collections.abc import Callable

import pytest
import torch
from torch import nn

from edgekd.pruning.apply import Pruned, apply
from edgekd.pruning.chosen import criterion_of
from edgekd.pruning.criteria._base import Subject
from edgekd.pruning.explore import space_of
from edgekd.pruning.kept import channels_kept
from edgekd.search._widths import widths_by_layer
from edgekd.values import Structure
from edgekd.zoo.build import build
from edgekd.zoo.definition import Definition, layers_of

MakeSubject = Callable[..., Subject]


def definition_of(spec: str, pruned: Pruned) -> Definition:
    shape = {"classes": 10, "channels": 1, "height": 16, "width": 16}
    kept = dict(pruned.kept)
    return Definition(model=spec, **shape, kept=kept, removed=pruned.removed, layers=layers_of(pruned.model))


@pytest.mark.parametrize("spec", ["mobilenet_v1:width=0.25", "mobilenet_v2:width=0.25", "resnet20"])
def test_layers_left_by_removing_blocks_and_narrowing_have_the_channels_that_are_named(
    spec: str, subject_of: MakeSubject
) -> None:
    original = build(spec, classes=10, channels=1).eval()
    subject, criterion = subject_of(original), criterion_of("l1", {})[0]
    space = space_of(original, subject.example, channel_block=8, kinds=["channels", "blocks"])
    structure = Structure(widths=widths_by_layer(space, 0.5), removed=space.removable)
    student = apply(subject, structure, criterion)
    definition = definition_of(spec, student)
    kept = channels_kept(original, subject.example, definition)
    convolutions = [name for name, layer in student.model.named_modules() if isinstance(layer, nn.Conv2d)]
    assert set(convolutions) <= kept.keys()
    for name in kept:
        layer, old = student.model.get_submodule(name), original.get_submodule(name)
        assert len(kept[name]) == len(layer.weight)
        if layer.weight.dim() > 1 and layer.in_channels == old.in_channels:
            assert torch.equal(layer.weight, old.weight[list(kept[name])])


def test_channels_that_go_in_fours_are_reported_as_those_that_are_left(
    subject_of: MakeSubject, pruned_by: Callable[..., Pruned]
) -> None:
    original = nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.Conv2d(32, 128, 3),
        nn.PixelShuffle(2),
        nn.Conv2d(32, 32, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    ).eval()
    student = pruned_by(original, 0.5)
    kept = channels_kept(original, subject_of(original).example, definition_of("mine:make", student))
    assert len(student.kept["1"]) == 64
    assert {name: kept[name] for name in student.kept} == dict(student.kept)
