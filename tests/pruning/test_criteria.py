"""What holds for every criterion."""

from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch

from edgekd import catalog
from edgekd.errors import EdgekdError, UnsupportedModelError
from edgekd.pruning.apply import apply
from edgekd.pruning.child.__main__ import answer_to
from edgekd.pruning.child.opening import Opened, open_network
from edgekd.pruning.child.protocol import Judging, Opening, PrunedFiles, PruneRequest, ScoresRequest, SpaceRequest
from edgekd.pruning.chosen import criterion_of
from edgekd.pruning.criteria._base import CRITERIA, Subject
from edgekd.pruning.explore import scores_of, space_of
from edgekd.pruning.space import Scores, Space
from edgekd.search._levels import Levels, Options
from edgekd.values import Structure
from edgekd.zoo.build import build
from edgekd.zoo.cost import nonzero
from edgekd.zoo.definition import Definition, load_pruned

NAMES = catalog.names(CRITERIA)
# 16 labelled images, for criteria that judge by data
DATA = torch.randn(16, 1, 16, 16), torch.arange(16) % 10
RESNET20_BLOCKS = ("stage1.0", "stage1.1", "stage1.2", "stage2.1", "stage2.2", "stage3.1", "stage3.2")
SAVED_MS = {name: float(i) for i, name in enumerate(RESNET20_BLOCKS)}


def proposals(subject: Subject, name: str, *, scope: str = "layer") -> list[Structure]:
    criterion, _ = criterion_of(name, {})
    space = space_of(subject.model, subject.example, channel_block=16, kinds=[criterion.SCORES])
    fractions = getattr(criterion, "FRACTIONS", ())
    options = Options(scope=scope)  # type: ignore[arg-type]
    levels = Levels(criterion.SCORES, space, options, lambda: scores_of(subject, criterion), fractions)
    return [proposal.structure for proposal in levels.all()]


@pytest.mark.parametrize("name", NAMES)
def test_every_level_gives_a_smaller_network_with_the_same_classes(
    name: str, subject_of: Callable[..., Subject]
) -> None:
    model = build("resnet20", classes=10, channels=1).eval()
    subject, criterion = subject_of(model, name, data=DATA, saved_ms=SAVED_MS), criterion_of(name, {})[0]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    structures = proposals(subject, name)
    students = [apply(subject, structure, criterion).model for structure in structures[:: max(1, len(structures) // 4)]]
    sizes = [nonzero(student) for student in students]
    assert structures[0].is_whole
    assert sizes[0] == nonzero(model)
    assert sizes == sorted(set(sizes), reverse=True)
    assert len(sizes) >= 2
    for student in students:
        output = student(subject.example)
        assert output.shape == (1, 10)
        assert output.isfinite().all()
    # and the network itself stays as it is
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(layer.training for layer in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_pruning_the_same_again_gives_the_same(name: str, subject_of: Callable[..., Subject]) -> None:
    model = build("resnet20", classes=10, channels=1).eval()
    subject, criterion = subject_of(model, name, data=DATA, saved_ms=SAVED_MS), criterion_of(name, {})[0]
    structure = proposals(subject, name)[1]
    first, second = (apply(subject, structure, criterion) for _ in range(2))
    assert (first.kept, first.removed) == (second.kept, second.removed)
    assert torch.equal(first.model(subject.example), second.model(subject.example))


@pytest.mark.parametrize(
    ("name", "options", "message", "hint"),
    [
        ("filterz", {}, "no pruning criterion 'filterz'", "filter_l1"),
        ("magnitude", {"scpe": "layer"}, "unknown key 'scpe'", "'scope'"),
        ("magnitude", {"scope": "globally"}, "scope: .*'global' or 'layer'", "scope"),
        ("l1", {"scope": "global"}, "unknown key 'scope'", ""),
    ],
)
def test_a_criterion_or_an_option_that_isnt_there_is_refused(
    name: str, options: dict[str, object], message: str, hint: str
) -> None:
    with pytest.raises(EdgekdError, match=message) as e:
        criterion_of(name, options)
    assert hint in e.value.hint


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


def opened(spec: str, folder: Path) -> Opened:
    safetensors.torch.save_file({"images": DATA[0], "labels": DATA[1]}, folder / "images.safetensors")
    shape = {"classes": 10, "channels": 1, "height": 16, "width": 16}
    limits = {"channel_block": 8, "memory_bytes": 4_000_000_000}
    return open_network(Opening(model=spec, **shape, images=folder / "images.safetensors", **limits))


def scoped(names: list[str]) -> list[tuple[str, str]]:
    channels = [name for name in names if criterion_of(name, {})[0].SCORES == "channels"]
    return [*((name, "layer") for name in names), *((name, "global") for name in channels)]


@pytest.mark.slow
@pytest.mark.parametrize("spec", FAMILIES)
@pytest.mark.parametrize(("name", "scope"), scoped(NAMES))
def test_every_criterion_takes_every_family(name: str, scope: str, spec: str, tmp_path: Path) -> None:
    """The child itself refuses what isn't the original without what went, or isn't equal when it is rebuilt."""
    network, (criterion, _) = opened(spec, tmp_path), criterion_of(name, {})
    space = answer_to(SpaceRequest(kinds=(criterion.SCORES,)), network)
    assert isinstance(space, Space)
    saved = dict.fromkeys(space.removable, 1.0)
    scores = answer_to(ScoresRequest(judging=Judging(criterion=name), saved_ms=saved), network)
    assert isinstance(scores, Scores)
    fractions = getattr(criterion, "FRACTIONS", ())
    levels = Levels(criterion.SCORES, space, Options(scope=scope), lambda: scores, fractions)  # type: ignore[arg-type]
    if (criterion.SCORES, spec) == ("blocks", "vgg6"):  # no two of its layers have the same shape
        with pytest.raises(UnsupportedModelError, match="none of the network's 3 blocks can be removed"):
            levels.of(0.4)
        return
    structure = levels.all()[len(levels.all()) // 2].structure
    request = PruneRequest(structure=structure, judging=Judging(criterion=name), folder=tmp_path / "student")
    answer = answer_to(request, network)
    assert isinstance(answer, PrunedFiles)
    student = load_pruned(Definition.read(answer.definition), answer.weights).eval()
    output = student(DATA[0][:2])
    assert output.shape == (2, 10)
    assert output.isfinite().all()
    assert answer.cost.nonzero == nonzero(student) < nonzero(network.model)
