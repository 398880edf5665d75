from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from edgekd.errors import EdgekdError, UnsupportedModelError
from edgekd.pruning._base import Subject
from edgekd.pruning.blocks import Block
from edgekd.pruning.child import answer_to
from edgekd.pruning.influence import influences
from edgekd.pruning.methods import layerwise
from edgekd.pruning.opening import open_network
from edgekd.zoo.build import build
from edgekd.zoo.cost import parameters
from edgekd.zoo.definition import Definition, load_pruned

MakeSubject = Callable[..., Subject]
FREE = ("stage1.0", "stage1.1", "stage1.2", "stage2.1", "stage2.2", "stage3.1", "stage3.2")


@pytest.fixture
def resnet20(subject_of: MakeSubject) -> Callable[..., Subject]:
    torch.manual_seed(0)
    model = build("resnet20", classes=10, channels=1).eval()
    return lambda **options: subject_of(model, **options)


def test_the_ratio_counts_blocks_and_the_stem_is_one(resnet20: MakeSubject) -> None:
    assert layerwise.levels(resnet20()) == pytest.approx([i / 10 for i in range(8)])
    for ratio, gone in {0.25: 3, 0.3: 3, 0.34: 3, 0.7: 7}.items():
        assert len(layerwise.prune(resnet20(), ratio).removed) == gone


def test_the_surviving_blocks_keep_their_weights(resnet20: MakeSubject) -> None:
    subject = resnet20()
    student = layerwise.prune(subject, 0.4)
    before, after = subject.model.state_dict(), student.model.state_dict()
    gone = tuple(f"{name}." for name in student.removed)
    assert after.keys() == {key for key in before if not key.startswith(gone)}
    assert all(torch.equal(after[key], before[key]) for key in after)


@pytest.mark.parametrize(("ratio", "left"), [(0.04, 10), (0.75, 2), (0.9, 1)])
def test_a_ratio_that_no_blocks_amount_to_names_those_that_do(resnet20: MakeSubject, ratio: float, left: int) -> None:
    with pytest.raises(UnsupportedModelError, match=f"would leave {left} of the network's 10 blocks") as e:
        layerwise.prune(resnet20(), ratio)
    assert e.value.hint == "Here, prune.ratio can be 0 or from 0.1 to 0.7."


def test_a_network_in_which_every_block_changes_the_shape_is_refused(subject_of: MakeSubject) -> None:
    subject = subject_of(build("vgg6", classes=10, channels=1).eval())
    assert layerwise.levels(subject) == (0.0,)
    with pytest.raises(UnsupportedModelError, match="no block that can go: of 3, 0 went before") as e:
        layerwise.prune(subject, 0.5)
    assert "widthwise" in e.value.hint


def chain(text: str) -> list[Block]:
    """Blocks from their maps' sizes: "8 8* 8-" is one that stays, one that can go, one that is gone."""
    return [
        Block(f"{i}", (int(word.rstrip("*-")),) * 2, is_gone=word.endswith("-"), can_go=word.endswith("*"))
        for i, word in enumerate(text.split())
    ]


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("8 8* 8* 8* 4 4* 2 2* 2*", "3 8 2 7 5 1"),  # the longest first, of equals the later
        ("8 8 8 8* 4 4* 4*", "6 5 3"),  # those that can't go don't lengthen another's stage
        ("8* 8* 4* 4*", "3 1 2 0"),  # a pool parts stages
        ("8 8* 8* 8- 4 4* 4*", "6 2 5 1"),  # what is gone no longer counts
        ("8 8 4", ""),
    ],
)
def test_the_longest_stage_loses_its_last_block_first(text: str, order: str) -> None:
    assert " ".join(layerwise.by_position(chain(text))) == order


def test_the_512_channel_blocks_of_mobilenet_go_first(subject_of: MakeSubject) -> None:
    model = build("mobilenet_v1", classes=100, channels=1).eval()
    student = layerwise.prune(subject_of(model), 4 / 14)
    assert student.removed == ("blocks.10", "blocks.9", "blocks.8", "blocks.7")
    named = layerwise.prune(subject_of(model, remove="blocks.7 blocks.8 blocks.9 blocks.10"), 4 / 14)
    assert parameters(named.model) == parameters(student.model)
    # four separable blocks of 512 channels: 9 x 512 + 512 x 512 weights and two batch norms
    assert parameters(model) - parameters(student.model) == 4 * (9 * 512 + 512 * 512 + 4 * 512)


def test_the_least_influential_blocks_go_first(resnet20: MakeSubject) -> None:
    images = torch.randn(8, 1, 16, 16)
    subject = resnet20(data=(images, torch.zeros(8, dtype=torch.int64)), order="influence")
    influence = influences(subject.model, FREE, images)
    assert layerwise.prune(subject, 0.3).removed == tuple(sorted(FREE, key=influence.__getitem__)[:3])
    with pytest.raises(EdgekdError, match="needs training images"):
        layerwise.prune(resnet20(order="influence"), 0.3)


def test_the_blocks_that_save_most_milliseconds_go_first(resnet20: MakeSubject) -> None:
    costs = dict(zip(FREE, (0.1, 0.3, -0.1, 0.2, 0.7, 0.0, 0.5), strict=True))
    assert layerwise.prune(resnet20(order="latency", costs=costs), 0.3).removed == ("stage2.2", "stage3.2", "stage1.1")
    del costs["stage2.1"]
    with pytest.raises(EdgekdError, match=r"wasn't measured for stage2\.1") as e:
        layerwise.prune(resnet20(order="latency", costs=costs), 0.3)
    assert "'position'" in e.value.hint


def test_blocks_can_be_named(resnet20: MakeSubject) -> None:
    subject = resnet20(remove="stage3.1 stage1.0 stage3.1")
    assert layerwise.levels(subject) == (0.0, 0.2)
    assert layerwise.prune(subject, 0.2).removed == ("stage3.1", "stage1.0")
    with pytest.raises(UnsupportedModelError, match="would leave 7 of") as e:
        layerwise.prune(subject, 0.3)
    assert e.value.hint == "Here, prune.ratio can be 0 or 0.2."


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"remove": "stage3.9"}, "no block 'stage3.9'", "'stage3.2'"),
        ({"remove": "stage2.0"}, "'stage2.0' gives maps of another shape than it gets", " ".join(FREE)),
        ({"order": "influenze"}, "order can't be 'influenze'", "'influence'"),
    ],
)
def test_options_that_dont_do_are_refused(
    resnet20: MakeSubject, options: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(EdgekdError, match=message) as e:
        layerwise.prune(resnet20(**options), 0.1)
    assert hint in e.value.hint


def test_what_went_before_counts(resnet20: MakeSubject, subject_of: MakeSubject) -> None:
    original = resnet20()
    first = layerwise.prune(original, 0.2)
    again = subject_of(first.model, original=original.model)
    assert layerwise.levels(again) == pytest.approx([0, 0.3, 0.4, 0.5, 0.6, 0.7])
    second = layerwise.prune(again, 0.5)
    assert first.removed + second.removed == layerwise.prune(original, 0.5).removed
    with pytest.raises(UnsupportedModelError, match="would leave 8 of the network's 10 blocks, and 8 are left now"):
        layerwise.prune(again, 0.2)
    with pytest.raises(UnsupportedModelError, match=r"'stage1\.2' is gone already"):
        layerwise.prune(subject_of(first.model, original=original.model, remove="stage1.2"), 0.3)


def asked(**changed: Any) -> dict[str, Any]:
    shape = {"classes": 10, "channels": 1, "height": 16, "width": 16, "block": 8}
    files = {"weights": None, "structure": None, "calibration": None}
    return {**shape, **files, "method": "layerwise", "options": {}, **changed}


def pruned(
    folder: Path, method: str, ratio: float, before: dict[str, Any] | None = None, *, model: str
) -> dict[str, Any]:
    """What the process that prunes answers, for the network of an earlier answer if one is given."""
    files = {key: before[key] for key in ("weights", "structure")} if before else {}
    opened = open_network(asked(model=model, method=method, **files))
    return answer_to({"do": "prune", "ratio": ratio, "folder": str(folder)}, opened)


SMALL = ["mobilenet_v2:width=0.25", "mobilenet_v3_small:width=0.5", "efficientnet_b0:width=0.25", "vgg11"]


@pytest.mark.parametrize("model", ["resnet20", "mobilenet_v1:width=0.25", "densenet_bc40", *SMALL])
def test_a_student_of_every_family_is_rebuilt_from_its_files(model: str, tmp_path: Path) -> None:
    answer = pruned(tmp_path, "layerwise", 0.4, model=model)
    structure = Definition.read(Path(answer["structure"]))
    rebuilt = load_pruned(structure, Path(answer["weights"])).eval()
    opened = open_network(asked(model=model))
    student = layerwise.prune(opened.subject, 0.4)
    images = torch.randn(4, 1, 16, 16)
    assert structure.removed == student.removed
    torch.testing.assert_close(rebuilt(images), student.model(images))


@pytest.mark.parametrize("model", ["resnet20", "mobilenet_v1:width=0.25", "densenet_bc40"])
@pytest.mark.parametrize(
    "methods", [("layerwise", "widthwise"), ("widthwise", "layerwise"), ("layerwise", "layerwise")]
)
def test_students_are_pruned_further_and_rebuilt(model: str, methods: tuple[str, str], tmp_path: Path) -> None:
    first = pruned(tmp_path / "first", methods[0], 0.25, model=model)
    second = pruned(tmp_path / "second", methods[1], 0.5, first, model=model)
    assert second["parameters"] < first["parameters"]
    before, after = (Definition.read(Path(answer["structure"])) for answer in (first, second))
    assert set(before.removed) <= set(after.removed)
    assert len(after.removed) == len(set(after.removed)) > 0
    student = load_pruned(after, Path(second["weights"])).eval()
    assert student(torch.randn(2, 1, 16, 16)).isfinite().all()
