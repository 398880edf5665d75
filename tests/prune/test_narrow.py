import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from edgekd.prune.graph import Graph, Group
from edgekd.prune.narrow import aligned, levels, narrow
from edgekd.zoo.build import build

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


@pytest.mark.parametrize(
    ("width", "ratio", "block", "expected"),
    [
        (64, 0.5, 8, 32),
        (64, 0.4, 8, 40),  # 38.4
        (64, 0.45, 8, 32),  # 35.2
        (72, 0.5, 8, 40),  # 36 is halfway, and goes up
        (64, 0.99, 16, 16),
        (16, 0.9, 16, 16),
        (12, 0.9, 16, 12),
        (44, 0.0, 8, 44),
        (47, 0.01, 8, 47),  # 48 would be nearest
        (44, 0.05, 8, 40),
    ],
)
def test_aligned_widths(width: int, ratio: float, block: int, expected: int) -> None:
    assert aligned(width, ratio, block=block) == expected


@given(st.integers(1, 4096), st.floats(0, 0.999), st.sampled_from([1, 4, 8, 16, 32]), st.integers(1, 64))
def test_aligned_widths_are_whole_blocks_and_parts_or_untouched(
    width: int, ratio: float, block: int, parts: int
) -> None:
    width *= parts
    kept = aligned(width, ratio, block=block, parts=parts)
    assert 0 < kept <= width
    assert kept % parts == 0
    assert kept == width or (kept % block == 0 and abs(kept - (1 - ratio) * width) <= max(block * parts, kept))


def test_aligned_widths_fall_as_the_ratio_rises() -> None:
    widths = [aligned(200, i / 100, block=8) for i in range(100)]
    assert widths == sorted(widths, reverse=True)


def test_levels_are_the_ratios_that_make_a_difference() -> None:
    model = build("vgg6", classes=10, channels=1)  # 64, 128 and 256 wide
    found = levels(model, IMAGE, block=64)
    # on the grid: 256 → 192 at 0.15, 128 → 64 and 256 → 128 at 0.4 (0.25 leaves 96 of 128, which is nearest to 128)
    widths = [tuple(aligned(w, r, block=64) for w in (64, 128, 256)) for r in found]
    assert found[0] == 0.0
    assert widths == [(64, 128, 256), (64, 128, 192), (64, 64, 192), (64, 64, 128), (64, 64, 64)]


@pytest.mark.parametrize("spec", SPECS)
def test_a_narrowed_network_computes_what_the_masked_teacher_does(spec: str) -> None:
    torch.manual_seed(0)
    teacher = build(spec, classes=10, channels=1).eval()
    for layer in teacher.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1, 0.3)
            nn.init.normal_(layer.bias, 0, 0.3)
            nn.init.normal_(layer.running_mean, 0, 0.3)
    student = narrow(teacher, IMAGE, ratio=0.5, block=8, scores=by_first_weights)
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


def test_the_parts_of_a_grouped_convolution_keep_the_same_positions() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 64, 1), nn.Conv2d(64, 64, 3, groups=4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 3)
    )
    student = narrow(model, IMAGE, ratio=0.5, block=8, scores=by_first_weights)
    kept = student.kept["1"]
    assert len(kept) == 32
    assert [c % 16 for c in kept] == [c % 16 for c in kept[:8]] * 4
    assert student.model(IMAGE).shape == (1, 3)


def test_the_model_itself_stays_as_it_is() -> None:
    model = build("vgg6", classes=10, channels=1).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    narrow(model, IMAGE, ratio=0.5, block=8, scores=by_first_weights)
    levels(model, IMAGE, block=8)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_nothing_goes_at_a_ratio_of_zero_even_where_nothing_can_be_traced() -> None:
    class Untraceable(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if torch.is_grad_enabled():
                raise RuntimeError("can't be traced")
            return x.flatten(1)[:, :3]

    student = narrow(Untraceable(), IMAGE, ratio=0, block=8, scores=by_first_weights)
    assert student.kept == {}
    with torch.no_grad():
        assert torch.equal(student.model(IMAGE), Untraceable()(IMAGE))
