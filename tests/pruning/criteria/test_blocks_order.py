"""Which blocks go first."""

from collections.abc import Callable

import pytest
import torch

from edgekd.errors import EdgekdError
from edgekd.pruning.apply import Pruned
from edgekd.pruning.blocks import blocks
from edgekd.pruning.criteria import latency, position
from edgekd.pruning.criteria._base import Subject
from edgekd.pruning.criteria.influence import influences
from edgekd.pruning.space import Block
from edgekd.zoo.build import build
from edgekd.zoo.cost import parameters

PrunedBy = Callable[..., Pruned]
FREE = ("stage1.0", "stage1.1", "stage1.2", "stage2.1", "stage2.2", "stage3.1", "stage3.2")


def chain(text: str) -> list[Block]:
    """Blocks from their maps' sizes: "8 8*" is one that stays and one that can go."""
    return [
        Block(name=f"{i}", size=(int(word.rstrip("*")),) * 2, can_go=word.endswith("*"))
        for i, word in enumerate(text.split())
    ]


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("8 8* 8* 8* 4 4* 2 2* 2*", "3 8 2 7 5 1"),  # the longest first, of equals the later
        ("8 8 8 8* 4 4* 4*", "6 5 3"),  # those that can't go don't lengthen another's stage
        ("8* 8* 4* 4*", "3 1 2 0"),  # a pool parts stages
        ("8 8 4", ""),
    ],
)
def test_the_longest_stage_loses_its_last_block_first(text: str, order: str) -> None:
    assert " ".join(position.order(chain(text))) == order


def test_the_512_channel_blocks_of_mobilenet_go_first(pruned_by: PrunedBy) -> None:
    model = build("mobilenet_v1", classes=100, channels=1).eval()
    student = pruned_by(model, 4 / 14, "position")
    assert student.removed == ("blocks.10", "blocks.9", "blocks.8", "blocks.7")
    # four separable blocks of 512 channels: 9 x 512 + 512 x 512 weights and two batch norms
    assert parameters(model) - parameters(student.model) == 4 * (9 * 512 + 512 * 512 + 4 * 512)


def test_the_surviving_blocks_keep_their_weights(pruned_by: PrunedBy) -> None:
    model = build("resnet20", classes=10, channels=1).eval()
    student = pruned_by(model, 0.4, "position")
    before, after = model.state_dict(), student.model.state_dict()
    gone = tuple(f"{name}." for name in student.removed)
    assert after.keys() == {key for key in before if not key.startswith(gone)}
    assert all(torch.equal(after[key], before[key]) for key in after)


def test_the_least_influential_blocks_go_first(pruned_by: PrunedBy) -> None:
    torch.manual_seed(0)
    model, images = build("resnet20", classes=10, channels=1).eval(), torch.randn(8, 1, 16, 16)
    influence = influences(model, FREE, images)
    student = pruned_by(model, 0.3, "influence", data=(images, torch.zeros(8, dtype=torch.int64)))
    assert student.removed == tuple(sorted(FREE, key=influence.__getitem__)[:3])


def test_the_blocks_that_save_most_milliseconds_go_first(
    subject_of: Callable[..., Subject], pruned_by: PrunedBy
) -> None:
    model = build("resnet20", classes=10, channels=1).eval()
    saved = dict(zip(FREE, (0.1, 0.3, -0.1, 0.2, 0.7, 0.0, 0.5), strict=True))
    assert pruned_by(model, 0.3, "latency", saved_ms=saved).removed == ("stage2.2", "stage3.2", "stage1.1")
    del saved["stage2.1"]
    subject = subject_of(model, "latency", saved_ms=saved)
    with pytest.raises(EdgekdError, match=r"'stage2\.1' was not measured") as e:
        latency.scores(subject, blocks(model, subject.example))
    assert '"position"' in e.value.hint
