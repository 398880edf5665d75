from collections.abc import Callable

import pytest
import torch
from torch import nn

from edgekd.pruning._base import Subject
from edgekd.pruning.kept import channels_kept
from edgekd.pruning.methods import layerwise, widthwise
from edgekd.zoo.build import build
from edgekd.zoo.definition import Definition, layers_of

MakeSubject = Callable[..., Subject]


@pytest.mark.parametrize("spec", ["mobilenet_v1:width=0.25", "mobilenet_v2:width=0.25", "resnet20"])
def test_layers_left_by_removing_blocks_and_narrowing_have_the_channels_that_are_named(
    spec: str, subject_of: MakeSubject
) -> None:
    original = build(spec, classes=10, channels=1).eval()
    subject = subject_of(original)
    shorter = layerwise.prune(subject, layerwise.levels(subject)[-1])
    student = widthwise.prune(subject_of(shorter.model, original=original), 0.5)
    structure = Definition(
        model=spec,
        classes=10,
        channels=1,
        height=16,
        width=16,
        method="widthwise",
        ratio=0.5,
        block=8,
        kept=dict(student.kept),
        removed=shorter.removed,
        layers=layers_of(student.model),
    )
    kept = channels_kept(original, subject.example, structure)
    convolutions = [name for name, layer in student.model.named_modules() if isinstance(layer, nn.Conv2d)]
    assert set(convolutions) <= kept.keys()
    for name in kept:
        layer, old = student.model.get_submodule(name), original.get_submodule(name)
        assert len(kept[name]) == len(layer.weight)
        if layer.weight.dim() > 1 and layer.in_channels == old.in_channels:
            assert torch.equal(layer.weight, old.weight[list(kept[name])])


def test_channels_that_go_in_fours_are_told_as_those_that_are_left(subject_of: MakeSubject) -> None:
    original = nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.Conv2d(32, 128, 3),
        nn.PixelShuffle(2),
        nn.Conv2d(32, 32, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    ).eval()
    student = widthwise.prune(subject_of(original), 0.5)
    structure = Definition(
        model="mine:make",
        classes=10,
        channels=1,
        height=16,
        width=16,
        method="widthwise",
        ratio=0.5,
        block=8,
        kept=dict(student.kept),
        layers=layers_of(student.model),
    )
    kept = channels_kept(original, subject_of(original).example, structure)
    assert len(student.kept["1"]) == 64
    assert {name: kept[name] for name in student.kept} == dict(student.kept)
