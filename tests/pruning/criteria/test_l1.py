from collections.abc import Callable

import pytest
import torch
from torch import nn

from edgekd.pruning.apply import Pruned
from edgekd.pruning.criteria import l1
from edgekd.pruning.criteria._base import Subject
from edgekd.pruning.graph import Graph
from edgekd.zoo.build import build

PrunedBy = Callable[..., Pruned]
IMAGE = torch.randn(1, 1, 16, 16)
NOTHING = Subject(nn.Identity(), IMAGE, IMAGE[:0], torch.zeros(0), None)


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
    torch.testing.assert_close(l1.scores(NOTHING, [group])[0], by_hand.detach())


def test_scores_of_grouped_convolutions_count_what_reads_a_channel() -> None:
    model = nn.Sequential(nn.Conv2d(1, 8, 1), nn.Conv2d(8, 4, 1, groups=2), nn.Flatten(), nn.Linear(1024, 2)).eval()
    first, second, _, _ = model
    group = next(g for g in Graph(model, IMAGE).groups if g.root == "0")
    # weights of the second are (4, 8 / 2, 1, 1): what is summed over it holds for both parts
    by_hand = first.weight.abs().sum(dim=(1, 2, 3)) + second.weight.abs().sum(dim=(0, 2, 3)).repeat(2)
    torch.testing.assert_close(l1.scores(NOTHING, [group])[0], by_hand.detach())


@pytest.mark.parametrize("spec", ["mobilenet_v1:width=0.25", "resnet8", "vgg6"])
def test_the_kept_filters_are_those_with_the_largest_scores(spec: str, pruned_by: PrunedBy) -> None:
    model = build(spec, classes=10, channels=1).eval()
    student = pruned_by(model, 0.5)
    groups = {group.root: group for group in Graph(model, IMAGE).groups}
    narrowed = student.kept.keys() & groups.keys()
    assert narrowed
    for root in narrowed:
        kept = student.kept[root]
        (scores,) = l1.scores(NOTHING, [groups[root]])
        lost = [c for c in range(groups[root].width) if c not in kept]
        assert len(kept) % 8 == 0
        assert scores[list(kept)].min() >= scores[lost].max()


def test_the_student_has_the_teachers_weights_of_the_kept_filters(pruned_by: PrunedBy) -> None:
    teacher = build("vgg6", classes=10, channels=1).eval()
    student = pruned_by(teacher, 0.4)
    inputs = [0]
    for root, kept in sorted(student.kept.items()):
        old, new = teacher.get_submodule(root), student.model.get_submodule(root)
        assert torch.equal(new.weight, old.weight[list(kept)][:, inputs])
        inputs = list(kept)
    assert torch.equal(student.model.head[2].weight, teacher.head[2].weight[:, inputs])
    assert len(student.kept) == 3
