from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.errors import EdgekdError
from edgekd.pruning.apply import Pruned
from edgekd.pruning.chosen import criterion_of
from edgekd.pruning.criteria import bn_scale, bn_taylor, l2, taylor
from edgekd.pruning.criteria._base import Subject
from edgekd.pruning.criteria._norms import filter_norms
from edgekd.pruning.graph import Graph, Group
from edgekd.zoo.architectures._inverted_residual import SqueezeExcitation
from edgekd.zoo.build import build

MakeSubject = Callable[..., Subject]
IMAGE = torch.randn(1, 1, 16, 16)
NOTHING = Subject(nn.Identity(), IMAGE, IMAGE[:0], torch.zeros(0), None)
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
    np.testing.assert_allclose(bn_scale.scores(NOTHING, [group])[0].numpy(), by_hand, rtol=1e-6)


def test_where_no_batch_norm_scales_a_channel_its_filters_judge() -> None:
    torch.manual_seed(0)
    excitation = SqueezeExcitation(16, 8, activation=nn.ReLU, gate=nn.Sigmoid)
    model = nn.Sequential(nn.Conv2d(1, 16, 3), nn.BatchNorm2d(16), excitation, nn.Flatten(), nn.Linear(16 * 14 * 14, 3))
    group = next(g for g in Graph(model.eval(), IMAGE).groups if g.width == 8)
    by_hand = excitation.gate[1].weight.detach().abs().sum(dim=(1, 2, 3))
    torch.testing.assert_close(bn_scale.scores(NOTHING, [group])[0], by_hand)
    assert torch.equal(bn_scale.scores(NOTHING, [group])[0], filter_norms(group))


def test_group_magnitude_is_the_squared_norm_of_all_that_belongs_to_the_channel() -> None:
    model, group = residual()
    weights = {name: p.detach().numpy() for name, p in model.named_parameters() if name.endswith("weight")}
    by_hand = []
    for c in range(16):
        own = [weights[name][c] for name in ("left.weight", "norm_left.weight", "right.weight", "norm_right.weight")]
        read = weights["head.weight"][:, 4 * c : 4 * c + 4]
        by_hand.append(sum((part**2).sum() for part in [*own, read]))
    np.testing.assert_allclose(l2.scores(NOTHING, [group])[0].numpy(), by_hand, rtol=1e-5)


def test_taylor_is_the_squared_sum_of_gradient_times_weight_by_layer_and_minibatch(subject_of: MakeSubject) -> None:
    model, group = residual()
    (found,) = taylor.scores(subject_of(model, data=DATA), [group])
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


def test_bn_taylor_is_what_scale_and_shift_change_the_loss_by(subject_of: MakeSubject) -> None:
    model, group = residual()
    (found,) = bn_taylor.scores(subject_of(model, data=DATA), [group])
    by_hand = np.zeros(16)
    for batch in (slice(0, 16), slice(16, 24)):
        loss = F.cross_entropy(model(DATA[0][batch]), DATA[1][batch])
        parameters = [p for norm in (model.norm_left, model.norm_right) for p in (norm.weight, norm.bias)]
        gradients = torch.autograd.grad(loss, parameters)
        products = [(p.detach() * g).numpy() for p, g in zip(parameters, gradients, strict=True)]
        by_hand += np.abs(sum(products)) / 2
    np.testing.assert_allclose(found.numpy(), by_hand, rtol=1e-4)


def test_bn_taylor_judges_by_filters_and_biases_where_no_norm_follows(subject_of: MakeSubject) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4)
    ).eval()
    data = DATA[0][:16], DATA[1][:16]
    (group,) = Graph(model, IMAGE).groups
    (found,) = bn_taylor.scores(subject_of(model, data=data), [group])
    loss = F.cross_entropy(model(data[0]), data[1])
    weight, bias = torch.autograd.grad(loss, [model[0].weight, model[0].bias])
    by_hand = ((model[0].weight * weight).flatten(1).sum(1) + model[0].bias * bias).detach().abs()
    torch.testing.assert_close(found, by_hand)


@pytest.mark.parametrize("criterion", ["taylor", "bn_taylor"])
def test_taylor_keeps_the_channels_that_the_classes_hang_on(pruned_by: Callable[..., Pruned], criterion: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4)
    ).eval()
    with torch.no_grad():
        model[4].weight[:, :8] = 0  # nothing of the first eight channels reaches the classes
        model[0].weight[:8] *= 100  # though their filters are the largest
    assert pruned_by(model, 0.5, criterion, data=DATA).kept["0"] == tuple(range(8, 16))
    assert pruned_by(model, 0.5, "l2").kept["0"] == tuple(range(8))


@pytest.mark.parametrize("name", ["taylor", "bn_taylor", "influence"])
def test_a_criterion_without_its_images_says_what_else_there_is(name: str, subject_of: MakeSubject) -> None:
    criterion, _ = criterion_of(name, {})
    model = build("resnet8", classes=4, channels=1).eval()
    with pytest.raises(EdgekdError, match=f'"{name}" needs training images') as e:
        criterion.scores(subject_of(model, name), ())
    assert '"bn_scale"' in e.value.hint or '"position"' in e.value.hint


@pytest.mark.parametrize("criterion", [taylor, bn_taylor])
def test_taylor_leaves_no_gradients(subject_of: MakeSubject, criterion: ModuleType) -> None:
    model, group = residual()
    criterion.scores(subject_of(model, data=DATA), [group])
    assert all(parameter.grad is None for parameter in model.parameters())
