import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from edgekd.pruning._base import Subject
from edgekd.pruning.graph import Graph, Group
from edgekd.pruning.narrow import levels, narrow
from edgekd.pruning.rank import aligned
from edgekd.zoo.build import build
from edgekd.zoo.definition import layers_of

MakeSubject = Callable[..., Subject]
IMAGE = torch.randn(1, 1, 16, 16)
SPECS = [
    "mobilenet_v1:width=0.25,blocks512=1",
    "mobilenet_v2:width=0.5",
    "mobilenet_v3_small",
    "resnet8",
    "vgg6",
    "densenet_bc40",
    "efficientnet_b0:width=0.5,depth=0.3",
]


def by_first_weights(group: Group) -> Tensor:
    """Scores that spread the kept channels over the whole group."""
    return torch.arange(group.width).mul(7).remainder(group.width).float()


def test_levels_are_the_ratios_that_make_a_difference(subject_of: MakeSubject) -> None:
    model = build("vgg6", classes=10, channels=1)  # 64, 128 and 256 wide
    found = levels(subject_of(model, block=64))
    # on the grid: 256 → 192 at 0.15, 128 → 64 and 256 → 128 at 0.4 (0.25 leaves 96 of 128, which is nearest to 128)
    widths = [tuple(aligned(w, r, block=64) for w in (64, 128, 256)) for r in found]
    assert found[0] == 0.0
    assert widths == [(64, 128, 256), (64, 128, 192), (64, 64, 192), (64, 64, 128), (64, 64, 64)]


@pytest.mark.parametrize("spec", SPECS)
def test_a_narrowed_network_computes_what_the_masked_teacher_does(spec: str, subject_of: MakeSubject) -> None:
    torch.manual_seed(0)
    teacher = build(spec, classes=10, channels=1).eval()
    for layer in teacher.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1, 0.3)
            nn.init.normal_(layer.bias, 0, 0.3)
            nn.init.normal_(layer.running_mean, 0, 0.3)
    student = narrow(subject_of(teacher), 0.5, by_first_weights)
    masked = copy.deepcopy(teacher)
    for group in Graph(masked, IMAGE).groups:
        lost = set(range(group.width)) - set(student.kept.get(group.root, range(group.width)))
        for member in group.members:
            rows = [c for c, source in zip(member.channels, member.sources, strict=True) if source in lost]
            if member.side == "out":
                with torch.no_grad():
                    for parameter in member.layer.parameters():
                        parameter[rows] = 0
    images = torch.randn(4, 1, 16, 16)
    with torch.inference_mode():
        torch.testing.assert_close(student.model(images), masked(images), rtol=1e-4, atol=1e-4)
        assert not torch.allclose(student.model(images), teacher(images), rtol=1e-2, atol=1e-2)


def test_the_parts_of_a_grouped_convolution_keep_the_same_positions(subject_of: MakeSubject) -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 64, 1), nn.Conv2d(64, 64, 3, groups=4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 3)
    )
    student = narrow(subject_of(model), 0.5, by_first_weights)
    kept = student.kept["1"]
    assert len(kept) == 32
    assert [c % 16 for c in kept] == [c % 16 for c in kept[:8]] * 4
    assert student.model(IMAGE).shape == (1, 3)


def test_the_model_itself_stays_as_it_is(subject_of: MakeSubject) -> None:
    model = build("vgg6", classes=10, channels=1).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    narrow(subject_of(model), 0.5, by_first_weights)
    levels(subject_of(model))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_nothing_goes_at_a_ratio_of_zero_even_where_nothing_can_be_traced(subject_of: MakeSubject) -> None:
    class Untraceable(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if torch.is_grad_enabled():
                raise RuntimeError("can't be traced")
            return x.flatten(1)[:, :3]

    student = narrow(subject_of(Untraceable()), 0, by_first_weights)
    assert student.kept == {}
    with torch.no_grad():
        assert torch.equal(student.model(IMAGE), Untraceable()(IMAGE))


@pytest.mark.parametrize("spec", SPECS)
def test_pruning_further_ends_in_the_widths_of_pruning_at_once(spec: str, subject_of: MakeSubject) -> None:
    model = build(spec, classes=10, channels=1).eval()
    once = narrow(subject_of(model), 0.3, by_first_weights)
    further = narrow(subject_of(once.model, original=model), 0.6, by_first_weights)
    at_once = narrow(subject_of(model), 0.6, by_first_weights)
    assert layers_of(further.model) == layers_of(at_once.model)
    assert further.model(IMAGE).isfinite().all()


def test_levels_of_a_narrowed_network_are_those_that_narrow_it_further(subject_of: MakeSubject) -> None:
    model = build("vgg6", classes=10, channels=1).eval()
    once = narrow(subject_of(model), 0.5, by_first_weights).model
    all_of_them = levels(subject_of(model))
    assert levels(subject_of(once, original=model)) == (0.0, *(ratio for ratio in all_of_them if ratio > 0.5))


def test_every_convolution_that_was_narrowed_is_named_with_what_it_kept(subject_of: MakeSubject) -> None:
    model = build("mobilenet_v1:width=0.5,blocks512=1", classes=10, channels=1).eval()
    student = narrow(subject_of(model), 0.5, by_first_weights)
    convolutions = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d)}
    narrowed = {
        name
        for name, layer in convolutions.items()
        if student.model.get_submodule(name).out_channels < layer.out_channels
    }
    assert student.kept.keys() == narrowed
    for name, kept in student.kept.items():
        if convolutions[name].groups > 1:  # its filters read one channel each, so they are the teacher's as they are
            assert torch.equal(student.model.get_submodule(name).weight, convolutions[name].weight[list(kept)])
