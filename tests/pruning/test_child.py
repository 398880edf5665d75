from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from edgekd.errors import EdgekdError, StorageError, UnsupportedModelError
from edgekd.pruning.apply import Pruned, apply
from edgekd.pruning.child import __main__ as child
from edgekd.pruning.child import writing
from edgekd.pruning.child.__main__ import answer_to
from edgekd.pruning.child.opening import Opened, open_network
from edgekd.pruning.child.protocol import (
    Failure,
    Judging,
    Opening,
    PrunedFiles,
    PruneRequest,
    ScoresRequest,
    SpaceRequest,
)
from edgekd.pruning.chosen import criterion_of
from edgekd.pruning.space import Scores, Space
from edgekd.search._widths import widths_by_layer
from edgekd.values import Structure
from edgekd.zoo.build import build
from edgekd.zoo.definition import Definition, load_pruned
from edgekd.zoo.weights import save_weights


def asked(model: str = "resnet8", **changed: Any) -> Opening:
    shape = {"classes": 10, "channels": 1, "height": 16, "width": 16}
    return Opening(model=model, **{**shape, "channel_block": 8, "memory_bytes": 4_000_000_000, **changed})


def narrower(opened: Opened, ratio: float) -> Structure:
    """All layers by the same ratio."""
    space = answer_to(SpaceRequest(kinds=("channels",)), opened)
    assert isinstance(space, Space)
    return Structure(widths=widths_by_layer(space, ratio))


def prune(opened: Opened, structure: Structure, folder: Path, criterion: str = "l1", **options: Any) -> PrunedFiles:
    judging = Judging(criterion=criterion, options=options)
    answer = answer_to(PruneRequest(structure=structure, judging=judging, folder=folder), opened)
    assert isinstance(answer, PrunedFiles)
    return answer


def reopened(answer: PrunedFiles, model: str = "resnet14") -> Opened:
    return open_network(asked(model, weights=answer.weights, definition=answer.definition))


@pytest.mark.parametrize("spec", ["mobilenet_v1:width=0.25", "resnet8", "vgg6"])
def test_the_pruned_network_is_rebuilt_from_its_files(spec: str, tmp_path: Path) -> None:
    original = build(spec, classes=10, channels=1).eval()
    save_weights(original, tmp_path / "teacher.safetensors")
    teacher = open_network(asked(spec, weights=tmp_path / "teacher.safetensors"))
    structure = narrower(teacher, 0.5)
    answer = prune(teacher, structure, tmp_path / "new")
    definition = Definition.read(answer.definition)
    student = load_pruned(definition, answer.weights).eval()
    criterion, options = criterion_of("l1", {})
    again = apply(teacher.subject(options), structure, criterion)
    images = torch.randn(4, 1, 16, 16)
    torch.testing.assert_close(student(images), again.model(images))
    assert definition.kept == dict(again.kept)
    assert definition.model == spec
    assert answer.cost.parameters == sum(p.numel() for p in student.parameters())
    assert answer.cost.parameters < sum(p.numel() for p in original.parameters())
    # the structure says what became of each group's first layer
    for root, width in structure.widths.items():
        assert definition.layers[root].get("out_channels", definition.layers[root].get("out_features")) == width


def test_a_whole_structure_stores_the_same_network(tmp_path: Path) -> None:
    teacher = open_network(asked())
    answer = prune(teacher, Structure(), tmp_path)
    student = load_pruned(Definition.read(answer.definition), answer.weights).eval()
    torch.testing.assert_close(student(teacher.example), teacher.output)


def test_the_space_has_only_what_is_requested() -> None:
    opened = open_network(asked("resnet20"))
    space = answer_to(SpaceRequest(kinds=("blocks", "weights")), opened)
    assert isinstance(space, Space)
    assert space.groups == ()
    assert len(space.blocks) == 10
    assert space.weights == sum(
        layer.weight.numel() for layer in opened.model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)
    )
    groups = answer_to(SpaceRequest(kinds=("channels",)), opened)
    assert isinstance(groups, Space)
    assert {group.root: group.allowed for group in groups.groups}["stage3.0.second.0"] == tuple(range(8, 65, 8))


def test_scores_are_of_the_criterion_that_is_requested() -> None:
    opened = open_network(asked("resnet20"))
    channels = answer_to(ScoresRequest(judging=Judging(criterion="l1")), opened)
    by_latency = ScoresRequest(judging=Judging(criterion="latency"), saved_ms={"stage1.0": 2.0})
    assert isinstance(channels, Scores)
    assert len(channels.channels["stem.0"]) == 16
    with pytest.raises(EdgekdError, match=r"'stage1\.1' was not measured"):
        answer_to(by_latency, opened)


def test_a_network_that_is_no_classifier_of_these_classes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "headless.py").write_text("from torch import nn\ndef make():\n    return nn.Conv2d(1, 6, 3)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UnsupportedModelError, match=r"gives \(1, 6, 14, 14\) for one image, not \(1, 10\)"):
        open_network(asked("headless:make"))


def test_broken_weights_are_reported_from_broken_pruning(tmp_path: Path) -> None:
    model = build("resnet8", classes=10, channels=1)
    nn.init.constant_(model.head[2].bias, float("nan"))
    save_weights(model, tmp_path / "teacher.safetensors")
    with pytest.raises(UnsupportedModelError, match="NaN"):
        open_network(asked(weights=tmp_path / "teacher.safetensors"))


def test_what_was_pruned_before_is_pruned_further(tmp_path: Path) -> None:
    whole = open_network(asked("resnet14"))
    once = prune(whole, narrower(whole, 0.3), tmp_path / "once")
    twice = prune(reopened(once), narrower(whole, 0.6), tmp_path / "twice")
    at_once = prune(whole, narrower(whole, 0.6), tmp_path / "at_once")
    documents = [Definition.read(answer.definition) for answer in (once, twice, at_once)]
    assert documents[1].layers == documents[2].layers
    assert twice.cost == at_once.cost
    for layer, kept in documents[1].kept.items():
        assert set(kept) <= set(documents[0].kept.get(layer, kept))
        assert len(kept) == documents[1].layers[layer]["out_channels"]
    # the weights tell that the kept channels are the original's: the stem's filters of the two are the same
    torch.manual_seed(0)
    original = build("resnet14", classes=10, channels=1)
    student = load_pruned(documents[1], twice.weights)
    kept = list(documents[1].kept["stem.0"])
    assert torch.equal(student.get_submodule("stem.0").weight, original.get_submodule("stem.0").weight[kept])


def test_zeros_and_widths_are_pruned_one_after_the_other(tmp_path: Path) -> None:
    whole = open_network(asked("resnet14"))
    narrow = prune(whole, narrower(whole, 0.3), tmp_path / "narrow", "bn_scale")
    sparse = prune(reopened(narrow), Structure(zeros=0.5), tmp_path / "sparse", "magnitude")
    assert sparse.cost.parameters == narrow.cost.parameters
    assert sparse.cost.nonzero < 0.55 * narrow.cost.nonzero
    before, after = Definition.read(narrow.definition), Definition.read(sparse.definition)
    assert (after.kept, after.layers, after.zeros) == (before.kept, before.layers, 0.5)


def test_blocks_go_one_after_the_other_even_where_their_names_depend_on_those_beside_them(tmp_path: Path) -> None:
    whole = open_network(asked("vgg11"))
    first = prune(whole, Structure(removed=("stage5.1",)), tmp_path / "first")
    both = Structure(removed=("stage5.1", "stage5.0"))
    second = prune(reopened(first, "vgg11"), both, tmp_path / "second")
    assert Definition.read(second.definition).removed == ("stage5.1", "stage5.0")


def test_what_is_gone_already_leaves_the_network_as_it_is(tmp_path: Path) -> None:
    whole = open_network(asked("resnet14"))
    once = prune(whole, narrower(whole, 0.5), tmp_path / "once")
    again = prune(reopened(once), narrower(whole, 0.4), tmp_path / "again")
    assert again.cost == once.cost
    assert Definition.read(again.definition) == Definition.read(once.definition)


def test_a_structure_that_takes_nothing_from_a_whole_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="the structure prunes nothing of resnet14"):
        prune(open_network(asked("resnet14")), Structure(widths={"stem.0": 16}), tmp_path)


def test_a_definition_of_another_model_is_refused(tmp_path: Path) -> None:
    opened = open_network(asked())
    once = prune(opened, narrower(opened, 0.5), tmp_path)
    with pytest.raises(EdgekdError, match=r"structure\.json: made from resnet8 with 10 classes, not from resnet14"):
        reopened(once)


def test_images_for_the_criterion_are_read_from_a_file(tmp_path: Path) -> None:
    images = {"images": torch.randn(8, 1, 16, 16), "labels": torch.arange(8)}
    safetensors.torch.save_file(images, tmp_path / "images.safetensors")
    opened = open_network(asked(images=tmp_path / "images.safetensors"))
    structure = narrower(opened, 0.5)
    assert prune(opened, structure, tmp_path / "student", "taylor").cost.parameters > 0
    with pytest.raises(EdgekdError, match="needs training images"):
        prune(open_network(asked()), structure, tmp_path / "none", "taylor")


def test_options_that_the_criterion_hasnt_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgekdError, match="unknown key 'scpe'"):
        prune(open_network(asked()), Structure(zeros=0.5), tmp_path, "magnitude", scpe="layer")


@pytest.fixture
def gives(monkeypatch: pytest.MonkeyPatch) -> Callable[[nn.Module], None]:
    """Makes pruning give a network that it shouldn't."""

    def give(student: nn.Module) -> None:
        monkeypatch.setattr(writing, "apply", lambda *_: Pruned(student.eval()))

    return give


HALF = Structure(widths={"stem.0": 8})


def test_a_network_with_fewer_classes_is_refused(gives: Callable[[nn.Module], None], tmp_path: Path) -> None:
    gives(build("resnet8", classes=6, channels=1))
    with pytest.raises(UnsupportedModelError, match=r"gives \(1, 6\) where it gave \(1, 10\)"):
        prune(open_network(asked()), HALF, tmp_path)


def test_a_network_that_gives_nan_is_refused(gives: Callable[[nn.Module], None], tmp_path: Path) -> None:
    student = build("resnet8", classes=10, channels=1)
    nn.init.constant_(student.head[2].bias, float("nan"))
    gives(student)
    with pytest.raises(UnsupportedModelError, match="pruned, resnet8 gives infinities or NaN"):
        prune(open_network(asked()), HALF, tmp_path)


def test_a_network_that_its_files_dont_give_back_is_refused_and_not_left_behind(
    gives: Callable[[nn.Module], None], tmp_path: Path
) -> None:
    class Doubled(nn.Module):
        """Computes what no stored width or weight tells."""

        def __init__(self, inner: nn.Sequential) -> None:
            super().__init__()
            for name, layer in inner.named_children():
                self.add_module(name, layer)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer in self.children():
                x = layer(x)
            return 2 * x

    opened = open_network(asked())
    found = prune(opened, narrower(opened, 0.5), tmp_path / "sound")
    gives(Doubled(load_pruned(Definition.read(found.definition), found.weights)))
    with pytest.raises(UnsupportedModelError, match="off by"):
        prune(open_network(asked()), HALF, tmp_path / "doubled")
    assert not list((tmp_path / "doubled").iterdir())


def test_a_network_that_isnt_the_original_without_what_went_is_refused(
    gives: Callable[[nn.Module], None], tmp_path: Path
) -> None:
    torch.manual_seed(1)
    opened = open_network(asked())
    criterion, options = criterion_of("l1", {})
    found = apply(opened.subject(options), narrower(opened, 0.5), criterion)
    with torch.no_grad():
        found.model.get_submodule("stem.0").weight[:1] *= 2
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(writing, "apply", lambda *_: found)
        with pytest.raises(UnsupportedModelError, match=r"resnet8 can't be pruned: .*'stem\.0' has other weights"):
            prune(opened, HALF, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cant_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    opened = open_network(asked())
    with pytest.raises(StorageError, match="file"):
        prune(opened, narrower(opened, 0.5), tmp_path / "file")


def test_what_networks_raise_becomes_a_failure_that_names_them() -> None:
    failure = child._failure(ZeroDivisionError("division by zero"), "package.module:mine")
    assert failure.failure == "UnsupportedModelError"
    why = "the analysis of its channels doesn't support an operation (ZeroDivisionError: division by zero)"
    assert failure.message == f"package.module:mine can't be pruned: {why}"
    assert "search.ratio = 0" in failure.hint


@pytest.mark.parametrize(
    "limit_reached", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: …")]
)
def test_running_out_of_memory_is_reported_from_other_failures(limit_reached: Exception) -> None:
    assert child._failure(limit_reached, "resnet8") == Failure(failure="memory")
