from collections.abc import Callable

import pytest
import torch
from torch import nn

from edgekd.errors import EdgekdError, UnsupportedModelError
from edgekd.pruning._base import Subject
from edgekd.pruning.graph import Graph
from edgekd.pruning.methods import widthwise
from edgekd.zoo.build import build
from edgekd.zoo.definition import layers_of

MakeSubject = Callable[..., Subject]
IMAGE = torch.randn(1, 1, 16, 16)


def test_a_score_is_the_l1_norm_of_all_weights_of_the_channel() -> None:
    model = nn.Sequential(nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3 * 15 * 15, 4)).eval()
    convolution, norm, _, linear = model
    group = Graph(model, IMAGE).groups[0]
    by_hand = torch.stack(
        [
            convolution.weight[c].abs().sum()
            + norm.weight[c].abs()
            + linear.weight[:, c * 225 : (c + 1) * 225].abs().sum()
            for c in range(3)
        ]
    )
    torch.testing.assert_close(widthwise.scores(group), by_hand.detach())


def test_scores_of_grouped_convolutions_count_what_reads_a_channel() -> None:
    model = nn.Sequential(nn.Conv2d(1, 8, 1), nn.Conv2d(8, 4, 1, groups=2), nn.Flatten(), nn.Linear(1024, 2)).eval()
    first, second, _, _ = model
    group = next(g for g in Graph(model, IMAGE).groups if g.root == "0")
    # weights of the second are (4, 8 / 2, 1, 1): what is summed over it holds for both parts
    by_hand = first.weight.abs().sum(dim=(1, 2, 3)) + second.weight.abs().sum(dim=(0, 2, 3)).repeat(2)
    torch.testing.assert_close(widthwise.scores(group), by_hand.detach())


@pytest.mark.parametrize("spec", ["mobilenet_v1:width=0.25", "resnet8", "vgg6"])
def test_the_kept_filters_are_those_with_the_largest_scores(spec: str, subject_of: MakeSubject) -> None:
    model = build(spec, classes=10, channels=1).eval()
    student = widthwise.prune(subject_of(model), 0.5)
    groups = {group.root: group for group in Graph(model, IMAGE).groups}
    narrowed = student.kept.keys() & groups.keys()
    assert narrowed
    for root in narrowed:
        kept = student.kept[root]
        scores = widthwise.scores(groups[root])
        lost = [c for c in range(groups[root].width) if c not in kept]
        assert len(kept) % 8 == 0
        assert scores[list(kept)].min() >= scores[lost].max()


def test_the_student_has_the_teachers_weights_of_the_kept_filters(subject_of: MakeSubject) -> None:
    teacher = build("vgg6", classes=10, channels=1).eval()
    student = widthwise.prune(subject_of(teacher), 0.4)
    inputs = [0]
    for root, kept in sorted(student.kept.items()):
        old, new = teacher.get_submodule(root), student.model.get_submodule(root)
        assert torch.equal(new.weight, old.weight[list(kept)][:, inputs])
        inputs = list(kept)
    assert torch.equal(student.model.head[2].weight, teacher.head[2].weight[:, inputs])
    assert len(student.kept) == 3


def test_from_scratch_the_student_has_fresh_weights_of_the_seed(subject_of: MakeSubject) -> None:
    teacher = build("resnet8", classes=10, channels=1)
    for layer in teacher.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 2, 3)
            nn.init.uniform_(layer.running_mean, 2, 3)
    inherited = widthwise.prune(subject_of(teacher.eval()), 0.5)
    one, same, other = (
        widthwise.prune(subject_of(teacher, weights="scratch", seed=seed), 0.5) for seed in (1.0, 1.0, 2.0)
    )
    assert layers_of(one.model) == layers_of(inherited.model)
    assert one.kept == inherited.kept
    states = [student.model.state_dict() for student in (inherited, one, same, other)]
    for key in states[0]:
        old, first, again, different = (state[key] for state in states)
        assert torch.equal(first, again)
        if first.dim() > 1:
            assert not torch.equal(first, old)
            assert not torch.equal(first, different)
        elif "running_mean" in key or key.endswith("bias"):
            assert not first.any()


def test_from_scratch_the_weights_spread_as_those_of_a_fresh_network(subject_of: MakeSubject) -> None:
    teacher = build("vgg6", classes=10, channels=1).eval()
    student = widthwise.prune(subject_of(teacher, weights="scratch"), 0.5).model
    second = student.get_submodule("stage2.0.0")  # 32 → 64 channels
    assert second.weight.shape == (64, 32, 3, 3)
    assert float(second.weight.detach().std()) == pytest.approx((2 / (32 * 9)) ** 0.5, rel=0.03)  # He et al., eq. 10


def test_drawing_anew_leaves_the_random_numbers_of_others_alone(subject_of: MakeSubject) -> None:
    subject = subject_of(build("resnet8", classes=10, channels=1).eval(), weights="scratch")
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    widthwise.prune(subject, 0.5)
    assert torch.equal(torch.rand(1), expected)


class Scaled(nn.Sequential):
    """Holds a tensor that nothing says how to draw."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(1, 32, 3), nn.Flatten(), nn.Linear(32 * 196, 3))
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * super().forward(x)


def test_tensors_that_cant_be_drawn_anew_are_named(subject_of: MakeSubject) -> None:
    with pytest.raises(UnsupportedModelError, match="holds tensors of its own"):
        widthwise.prune(subject_of(Scaled().eval(), weights="scratch"), 0.5)
    assert widthwise.prune(subject_of(Scaled().eval()), 0.5).model(IMAGE).shape == (1, 3)


def test_weights_are_inherited_or_from_scratch(subject_of: MakeSubject) -> None:
    model = build("resnet8", classes=10, channels=1).eval()
    with pytest.raises(EdgekdError, match=r"prune\.options: weights can't be 'scrach'") as e:
        widthwise.prune(subject_of(model, weights="scrach"), 0.5)
    assert "'scratch'" in e.value.hint
