from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.errors import EdgekdError
from edgekd.pruning._base import Subject
from edgekd.pruning.graph import Graph, Group
from edgekd.pruning.methods import channels
from edgekd.pruning.scores import filter_norms
from edgekd.zoo.architectures._inverted_residual import SqueezeExcitation
from edgekd.zoo.build import build

MakeSubject = Callable[..., Subject]
IMAGE = torch.randn(1, 1, 16, 16)
GENERATOR = torch.Generator().manual_seed(1)
DATA = torch.randn(24, 1, 16, 16, generator=GENERATOR), torch.arange(24) % 4


class Residual(nn.Module):
    """Two convolutions side by side whose outputs are added, so that they share their channels."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.norm_left = nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.right, self.norm_right = nn.Conv2d(1, 16, 1), nn.BatchNorm2d(16)
        self.head = nn.Linear(16 * 4, 4)
        for norm in (self.norm_left, self.norm_right):
            nn.init.uniform_(norm.weight, -1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm_left(self.left(x)) + self.norm_right(self.right(x)))
        logits: Tensor = self.head(F.adaptive_avg_pool2d(x, 2).flatten(1))
        return logits


def residual() -> tuple[Residual, Group]:
    torch.manual_seed(0)
    model = Residual().eval()
    return model, Graph(model, IMAGE).groups[0]


def test_batch_norm_scales_are_summed_over_the_layers_that_share_the_channel() -> None:
    model, group = residual()
    by_hand = np.abs(model.norm_left.weight.detach().numpy()) + np.abs(model.norm_right.weight.detach().numpy())
    np.testing.assert_allclose(channels.batch_norm_scales(group).numpy(), by_hand, rtol=1e-6)


def test_where_no_batch_norm_scales_a_channel_its_filters_judge() -> None:
    torch.manual_seed(0)
    excitation = SqueezeExcitation(16, 8, activation=nn.ReLU, gate=nn.Sigmoid)
    model = nn.Sequential(nn.Conv2d(1, 16, 3), nn.BatchNorm2d(16), excitation, nn.Flatten(), nn.Linear(16 * 14 * 14, 3))
    group = next(g for g in Graph(model.eval(), IMAGE).groups if g.width == 8)
    by_hand = excitation.gate[1].weight.detach().abs().sum(dim=(1, 2, 3))
    torch.testing.assert_close(channels.batch_norm_scales(group), by_hand)
    assert torch.equal(channels.batch_norm_scales(group), filter_norms(group))


def test_group_magnitude_is_the_squared_norm_of_all_that_belongs_to_the_channel() -> None:
    model, group = residual()
    weights = {name: p.detach().numpy() for name, p in model.named_parameters() if name.endswith("weight")}
    by_hand = []
    for c in range(16):
        own = [weights[name][c] for name in ("left.weight", "norm_left.weight", "right.weight", "norm_right.weight")]
        read = weights["head.weight"][:, 4 * c : 4 * c + 4]
        by_hand.append(sum((part**2).sum() for part in [*own, read]))
    np.testing.assert_allclose(channels.squared_norms(group).numpy(), by_hand, rtol=1e-5)


def test_taylor_is_the_squared_sum_of_gradient_times_weight_by_layer_and_minibatch(subject_of: MakeSubject) -> None:
    model, group = residual()
    found = channels.taylor(subject_of(model, data=DATA))(group)
    by_hand = np.zeros(16)
    for batch in (slice(0, 16), slice(16, 24)):
        loss = F.cross_entropy(model(DATA[0][batch]), DATA[1][batch])
        gradients = dict(
            zip(dict(model.named_parameters()), torch.autograd.grad(loss, list(model.parameters())), strict=True)
        )
        products = {name: (p.detach() * gradients[name]).numpy() for name, p in model.named_parameters()}
        for c in range(16):
            for name in ("left.weight", "norm_left.weight", "right.weight", "norm_right.weight"):
                by_hand[c] += products[name][c].sum() ** 2 / 2
            by_hand[c] += products["head.weight"][:, 4 * c : 4 * c + 4].sum() ** 2 / 2
    np.testing.assert_allclose(found.numpy(), by_hand, rtol=1e-4)


def test_taylor_keeps_the_channels_that_the_classes_hang_on(subject_of: MakeSubject) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4)
    ).eval()
    with torch.no_grad():
        model[4].weight[:, :8] = 0  # nothing of the first eight channels reaches the classes
        model[0].weight[:8] *= 100  # though their filters are the largest
    subject = subject_of(model, data=DATA, criterion="taylor")
    assert channels.prune(subject, 0.5).kept["0"] == tuple(range(8, 16))
    assert channels.prune(subject_of(model, criterion="group"), 0.5).kept["0"] == tuple(range(8))


@pytest.mark.parametrize("criterion", ["bn_scale", "group", "taylor"])
@pytest.mark.parametrize("scope", ["layer", "global"])
def test_every_criterion_prunes_to_smaller_networks(criterion: str, scope: str, subject_of: MakeSubject) -> None:
    model = build("resnet8", classes=4, channels=1).eval()
    subject = subject_of(model, data=DATA, criterion=criterion, scope=scope)
    levels = channels.levels(subject)
    sizes = [sum(p.numel() for p in channels.prune(subject, ratio).model.parameters()) for ratio in levels[::3]]
    assert len(sizes) > 2
    assert sizes == sorted(set(sizes), reverse=True)


@pytest.mark.parametrize("call", [channels.levels, lambda subject: channels.prune(subject, 0.5)])
def test_taylor_without_images_says_what_else_there_is(call: Callable[..., object], subject_of: MakeSubject) -> None:
    model = build("resnet8", classes=4, channels=1).eval()
    with pytest.raises(EdgekdError, match=r"taylor.* needs training images") as e:
        call(subject_of(model, criterion="taylor"))
    assert "bn_scale" in e.value.hint


def test_a_criterion_that_isnt_one_is_refused(subject_of: MakeSubject) -> None:
    model = build("resnet8", classes=4, channels=1).eval()
    with pytest.raises(EdgekdError, match="criterion can't be 'tailor'") as e:
        channels.prune(subject_of(model, criterion="tailor"), 0.5)
    assert "'taylor'" in e.value.hint
