"""What holds for every pruning method."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from edgekd import catalog
from edgekd.errors import UnsupportedModelError
from edgekd.pruning._base import METHODS, Method, Option, Subject
from edgekd.pruning.child import answer_to
from edgekd.pruning.opening import open_network
from edgekd.zoo.build import build
from edgekd.zoo.cost import nonzero
from edgekd.zoo.definition import Definition, load_pruned

MakeSubject = Callable[..., Subject]
NAMES = catalog.names(METHODS)
# 16 labelled images, for methods that judge by data
DATA = torch.randn(16, 1, 16, 16), torch.arange(16) % 10


def method_of(name: str) -> Method:
    return catalog.load(METHODS, name)


def test_there_are_methods() -> None:
    assert {"widthwise", "filters"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_defaults_are_among_the_choices(name: str) -> None:
    method = method_of(name)
    assert method.CHOICES.keys() <= method.OPTIONS.keys()
    assert all(method.OPTIONS[option] in words for option, words in method.CHOICES.items())


@pytest.mark.parametrize("spec", ["mobilenet_v1:width=0.25,blocks512=1", "resnet14"])
@pytest.mark.parametrize("name", NAMES)
def test_every_level_gives_a_smaller_network_with_the_same_classes(
    name: str, spec: str, subject_of: MakeSubject
) -> None:
    method = method_of(name)
    subject = subject_of(build(spec, classes=10, channels=1).eval(), block=16, data=DATA)
    levels = method.levels(subject)
    students = [method.prune(subject, ratio).model for ratio in levels]
    sizes = [nonzero(student) for student in students]
    assert levels[0] == 0.0
    assert len(levels) > 2
    assert sizes[0] == nonzero(subject.model)
    assert sizes == sorted(set(sizes), reverse=True)
    for student in students:
        output = student(subject.example)
        assert output.shape == (1, 10)
        assert output.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_a_ratio_of_zero_gives_an_equal_copy(name: str, subject_of: MakeSubject) -> None:
    subject = subject_of(build("resnet8", classes=10, channels=1).eval(), data=DATA)
    student = method_of(name).prune(subject, 0).model
    assert student is not subject.model
    assert torch.equal(student(subject.example), subject.model(subject.example))


@pytest.mark.parametrize("name", NAMES)
def test_pruning_the_same_again_gives_the_same(name: str, subject_of: MakeSubject) -> None:
    method = method_of(name)
    subject = subject_of(build("resnet14", classes=10, channels=1).eval(), data=DATA)
    first, second = (method.prune(subject, method.levels(subject)[1]) for _ in range(2))
    assert (first.kept, first.removed) == (second.kept, second.removed)
    assert torch.equal(first.model(subject.example), second.model(subject.example))


@pytest.mark.parametrize("name", NAMES)
def test_the_subject_stays_as_it_is(name: str, subject_of: MakeSubject) -> None:
    method = method_of(name)
    subject = subject_of(build("resnet14", classes=10, channels=1).eval(), data=DATA)
    before = {key: value.clone() for key, value in subject.model.state_dict().items()}
    method.prune(subject, method.levels(subject)[-1])
    assert before.keys() == subject.model.state_dict().keys()
    assert all(torch.equal(value, before[key]) for key, value in subject.model.state_dict().items())
    assert not any(layer.training for layer in subject.model.modules())
    assert all(parameter.grad is None for parameter in subject.model.parameters())


# every method, and every option of it that decides in another way what goes
VARIANTS: list[tuple[str, dict[str, Option]]] = [
    *((name, {}) for name in NAMES),
    ("widthwise", {"weights": "scratch"}),
    ("filters", {"scope": "global"}),
    ("channels", {"criterion": "group"}),
    ("channels", {"criterion": "taylor"}),
    ("channels", {"criterion": "bn_scale", "scope": "global"}),
    ("weights", {"scope": "layer"}),
    ("weights", {"pattern": "2:4"}),
    ("layerwise", {"order": "influence"}),
]
# the smallest of each family
FAMILIES = [
    "mobilenet_v1:width=0.25",
    "mobilenet_v2:width=0.25",
    "mobilenet_v3_small:width=0.5",
    "resnet14",
    "vgg6",
    "vgg11",
    "densenet_bc40",
    "efficientnet_b0:width=0.5,depth=0.3",
]


def opened(spec: str, method: str, options: dict[str, Option], folder: Path) -> Any:
    safetensors.torch.save_file({"images": DATA[0], "labels": DATA[1]}, folder / "images.safetensors")
    size = {"classes": 10, "channels": 1, "height": 16, "width": 16, "block": 8}
    files = {"weights": None, "structure": None, "calibration": str(folder / "images.safetensors")}
    return open_network({"model": spec, "method": method, "options": options, **size, **files})


@pytest.mark.slow
@pytest.mark.parametrize("spec", FAMILIES)
@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_every_method_takes_every_family(name: str, options: dict[str, Option], spec: str, tmp_path: Path) -> None:
    """The child itself refuses a student of another shape, that isn't finite, or that isn't equal when rebuilt."""
    network = opened(spec, name, options, tmp_path)
    if (name, spec) == ("layerwise", "vgg6"):  # no two of its layers have the same shape
        with pytest.raises(UnsupportedModelError, match="no block that can go") as e:
            answer_to({"do": "prune", "ratio": 0.4, "folder": str(tmp_path / "student")}, network)
        assert e.value.hint
        return
    levels = answer_to({"do": "levels"}, network)["levels"]
    ratio = min(levels[1:], key=lambda level: abs(level - 0.4))
    answer = answer_to({"do": "prune", "ratio": ratio, "folder": str(tmp_path / "student")}, network)
    student = load_pruned(Definition.read(Path(answer["structure"])), Path(answer["weights"])).eval()
    output = student(DATA[0][:2])
    assert output.shape == (2, 10)
    assert output.isfinite().all()
    assert answer["nonzero"] == nonzero(student) < nonzero(network.subject.model)
