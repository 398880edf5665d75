from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from edgekd.pruning.apply import Pruned, apply
from edgekd.pruning.chosen import criterion_of
from edgekd.pruning.criteria import two_of_four
from edgekd.pruning.criteria._base import Subject
from edgekd.values import Structure
from edgekd.zoo.build import build
from edgekd.zoo.cost import nonzero, parameters

MakeSubject = Callable[..., Subject]
PrunedBy = Callable[..., Pruned]


def kernels(model: nn.Module) -> dict[str, np.ndarray]:
    """The weights of the convolutions and linear layers."""
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)}
    return {name: layer.weight.detach().numpy() for name, layer in layers.items()}


def test_globally_the_smallest_weights_of_all_layers_are_zero(pruned_by: PrunedBy) -> None:
    model = build("resnet8", classes=10, channels=1).eval()
    before = kernels(model)
    limit = np.quantile(np.abs(np.concatenate([w.ravel() for w in before.values()])), 0.7)
    after = kernels(pruned_by(model, 0.7, "magnitude").model)
    for name, kernel in before.items():
        np.testing.assert_array_equal(after[name], np.where(np.abs(kernel) <= limit, 0, kernel))
    shares = [float((after[name] == 0).mean()) for name in after]
    assert max(shares) - min(shares) > 0.2  # layers of large weights lose fewer


def test_by_layer_each_loses_the_same_share(subject_of: MakeSubject) -> None:
    model = build("resnet8", classes=10, channels=1).eval()
    before = kernels(model)
    after = kernels(
        apply(
            subject_of(model, "magnitude", scope="layer"), Structure(zeros=0.7), criterion_of("magnitude", {})[0]
        ).model
    )
    for name, kernel in before.items():
        order = np.argsort(np.abs(kernel).ravel())
        zeros = int((after[name] == 0).sum())
        assert abs(zeros - 0.7 * kernel.size) <= 1
        expected = kernel.ravel().copy()
        expected[order[:zeros]] = 0
        np.testing.assert_array_equal(after[name].ravel(), expected)


def test_widths_batch_norms_and_biases_stay(pruned_by: PrunedBy) -> None:
    model = build("resnet8", classes=10, channels=1)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.constant_(layer.weight, 1e-6)  # smaller than any weight
            nn.init.constant_(layer.bias, 1e-6)
    nn.init.constant_(model.head[2].bias, 1e-6)
    student = pruned_by(model.eval(), 0.5, "magnitude")
    count = sum(kernel.size for kernel in kernels(model).values())
    assert (student.kept, student.removed) == ({}, ())
    assert parameters(student.model) == parameters(model)
    assert nonzero(student.model) == parameters(model) - round(0.5 * count)


def test_of_four_consecutive_inputs_the_two_smallest_go() -> None:
    generator = np.random.default_rng(0)
    kernel = generator.standard_normal((6, 8, 3, 3)).astype("float32")  # [K, C, R, S]
    gone = two_of_four.two_smallest(torch.from_numpy(kernel)).numpy()
    for k, r, s in np.ndindex(6, 3, 3):
        for c in (0, 4):
            four = np.abs(kernel[k, c : c + 4, r, s])
            assert set(np.flatnonzero(gone[k, c : c + 4, r, s])) == set(np.argsort(four)[:2])


def test_the_pattern_is_what_tensorrt_asks_for(pruned_by: PrunedBy) -> None:
    model = build("mobilenet_v1:width=0.25,blocks512=1", classes=10, channels=1).eval()
    before = kernels(model)
    after = kernels(pruned_by(model, 0.5, "two_of_four").model)
    dense = {name for name, kernel in before.items() if kernel.shape[1] % 4}
    assert any(name.endswith(".0.0") for name in dense)  # depthwise: one input channel a filter
    assert "stem.0" in dense
    for name, kernel in after.items():
        if name in dense:
            np.testing.assert_array_equal(kernel, before[name])
            continue
        zeros = 0
        for c in range(0, kernel.shape[1], 4):
            in_four = (kernel[:, c : c + 4] == 0).sum(axis=1)
            assert (in_four == 2).all()
            zeros += int(in_four.sum())
        assert zeros == kernel.size // 2


def test_pruned_further_is_pruned_at_once(pruned_by: PrunedBy) -> None:
    model = build("resnet8", classes=10, channels=1).eval()
    once = pruned_by(model, 0.3, "magnitude").model
    twice = kernels(pruned_by(once, 0.6, "magnitude").model)
    at_once = kernels(pruned_by(model, 0.6, "magnitude").model)
    for name, kernel in at_once.items():
        np.testing.assert_array_equal(twice[name], kernel)


def test_a_weight_that_layers_share_counts_once(pruned_by: PrunedBy) -> None:
    first, second = nn.Conv2d(1, 4, 3, bias=False), nn.Conv2d(4, 4, 1, bias=False)
    third = nn.Conv2d(4, 4, 1, bias=False)
    third.weight = second.weight
    model = nn.Sequential(first, second, third, nn.Flatten(), nn.Linear(4 * 196, 2, bias=False)).eval()
    student = pruned_by(model, 0.5, "magnitude").model
    assert nonzero(student) == (36 + 16 + 2 * 4 * 196) // 2
    assert student[1].weight is student[2].weight
