"""What holds for every pruning method."""

import pytest
import torch

from edgekd import catalog
from edgekd.zoo.build import build
from edgekd.zoo.cost import parameters

IMAGE = torch.randn(1, 1, 16, 16)
METHODS = catalog.names("prune.methods")


def test_there_are_methods() -> None:
    assert "filters" in METHODS


@pytest.mark.parametrize("spec", ["mobilenet_v1:width=0.25,blocks512=1", "resnet8"])
@pytest.mark.parametrize("name", METHODS)
def test_every_level_gives_a_smaller_network_with_the_same_classes(name: str, spec: str) -> None:
    method = catalog.load("prune.methods", name)
    model = build(spec, classes=10, channels=1).eval()
    levels = method.levels(model, IMAGE, block=16)
    students = [method.prune(model, IMAGE, ratio=ratio, block=16).model for ratio in levels]
    sizes = [parameters(student) for student in students]
    assert levels[0] == 0.0
    assert len(levels) > 2
    assert sizes[0] == parameters(model)
    assert sizes == sorted(set(sizes), reverse=True)
    for student in students:
        output = student(IMAGE)
        assert output.shape == (1, 10)
        assert output.isfinite().all()


@pytest.mark.parametrize("name", METHODS)
def test_a_ratio_of_zero_gives_an_equal_copy(name: str) -> None:
    model = build("resnet8", classes=10, channels=1).eval()
    student = catalog.load("prune.methods", name).prune(model, IMAGE, ratio=0, block=8).model
    assert student is not model
    assert torch.equal(student(IMAGE), model(IMAGE))


@pytest.mark.parametrize("name", METHODS)
def test_pruning_twice_gives_the_same(name: str) -> None:
    method = catalog.load("prune.methods", name)
    model = build("resnet8", classes=10, channels=1).eval()
    first, second = (method.prune(model, IMAGE, ratio=0.5, block=8) for _ in range(2))
    assert first.kept == second.kept
    assert torch.equal(first.model(IMAGE), second.model(IMAGE))
