import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from edgekd.errors import EdgekdError, StorageError, UnsupportedModelError
from edgekd.pruning import child
from edgekd.pruning._base import Option, Student, Subject
from edgekd.pruning.child import answer_to
from edgekd.pruning.opening import Opened, open_network
from edgekd.zoo.build import build
from edgekd.zoo.definition import Definition, load_pruned
from edgekd.zoo.weights import save_weights


def asked(model: str = "resnet8", **changed: Any) -> dict[str, Any]:
    return {
        "model": model,
        "classes": 10,
        "channels": 1,
        "height": 16,
        "width": 16,
        "weights": None,
        "structure": None,
        "method": "widthwise",
        "options": {},
        "calibration": None,
        "block": 8,
        **changed,
    }


def prune(opened: Opened, *, ratio: float, folder: Path, **more: Any) -> dict[str, Any]:
    return answer_to({"do": "prune", "ratio": ratio, "folder": str(folder), **more}, opened)


@pytest.mark.parametrize("spec", ["mobilenet_v1:width=0.25", "resnet8", "vgg6"])
def test_the_student_is_rebuilt_from_its_files(spec: str, tmp_path: Path) -> None:
    original = build(spec, classes=10, channels=1).eval()
    save_weights(original, tmp_path / "teacher.safetensors")
    teacher = open_network(asked(spec, weights=str(tmp_path / "teacher.safetensors")))
    answer = prune(teacher, ratio=0.5, folder=tmp_path / "new")
    structure = Definition.read(Path(answer["structure"]))
    student = load_pruned(structure, Path(answer["weights"])).eval()
    again = teacher.method.prune(teacher.subject, 0.5)
    images = torch.randn(4, 1, 16, 16)
    torch.testing.assert_close(student(images), again.model(images))
    assert structure.kept == dict(again.kept)
    assert (structure.model, structure.method, structure.ratio, structure.block) == (spec, "widthwise", 0.5, 8)
    assert answer["parameters"] == sum(p.numel() for p in student.parameters())
    assert answer["parameters"] < sum(p.numel() for p in original.parameters())


def test_a_ratio_of_zero_stores_the_same_network(tmp_path: Path) -> None:
    teacher = open_network(asked())
    answer = prune(teacher, ratio=0, folder=tmp_path)
    student = load_pruned(Definition.read(Path(answer["structure"])), Path(answer["weights"])).eval()
    torch.testing.assert_close(student(teacher.subject.example), teacher.output)


def test_a_ratio_too_small_to_matter_names_the_smallest_that_does(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match=r"0\.01 takes nothing from resnet8") as e:
        prune(open_network(asked()), ratio=0.01, folder=tmp_path)
    assert "0.1" in e.value.hint
    assert not list(tmp_path.iterdir())


def test_a_network_without_a_layer_wider_than_a_block_has_nothing_to_prune(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="resnet8 has nothing to prune by 'widthwise'") as e:
        prune(open_network(asked(block=64)), ratio=0.5, folder=tmp_path)
    assert "blocks of 64 channels" in e.value.hint


def test_a_network_that_is_no_classifier_of_these_classes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "headless.py").write_text("from torch import nn\ndef make():\n    return nn.Conv2d(1, 6, 3)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UnsupportedModelError, match=r"gives \(1, 6, 14, 14\) for one image, not \(1, 10\)"):
        open_network(asked("headless:make"))


def test_an_unknown_method_names_the_known_ones() -> None:
    with pytest.raises(EdgekdError, match="filterz") as e:
        open_network(asked(method="filterz"))
    assert "filters" in e.value.hint


def test_broken_weights_are_told_from_broken_pruning(tmp_path: Path) -> None:
    model = build("resnet8", classes=10, channels=1)
    nn.init.constant_(model.head[2].bias, float("nan"))
    save_weights(model, tmp_path / "teacher.safetensors")
    with pytest.raises(UnsupportedModelError, match="NaN"):
        open_network(asked(weights=str(tmp_path / "teacher.safetensors")))


@pytest.mark.parametrize(
    ("method", "option", "message", "hint"),
    [
        ("filters", {"scpe": "global"}, r"the method 'filters' has no 'scpe'", "Did you mean 'scope'"),
        ("widthwise", {"weights": 1.0}, r"weights of the method 'widthwise' is a word, not 1\.0", "'inherited'"),
        ("widthwise", {"weights": "scrach"}, r"weights can't be 'scrach'", "'scratch'"),
        ("widthwise", {"seed": "one"}, r"seed of the method 'widthwise' is a number, not 'one'", "0.0"),
    ],
)
def test_options_that_the_method_hasnt_are_refused(
    method: str, option: dict[str, Option], message: str, hint: str, tmp_path: Path
) -> None:
    with pytest.raises(EdgekdError, match=rf"prune\.options: {message}") as e:
        open_network(asked(method=method, options=option))
    assert hint in e.value.hint
    opened = open_network(asked(method=method))
    with pytest.raises(EdgekdError, match=rf"prune\.options: {message}"):
        prune(opened, ratio=0.5, folder=tmp_path, options=option)


def test_a_request_has_options_in_place_of_the_recipes(tmp_path: Path) -> None:
    opened = open_network(asked(method="filters", options={"scope": "global"}))
    recipes = prune(opened, ratio=0.4, folder=tmp_path / "recipes")
    own = prune(opened, ratio=0.4, folder=tmp_path / "own", options={"scope": "layer"})
    plain = prune(open_network(asked(method="filters")), ratio=0.4, folder=tmp_path / "plain")
    assert Path(own["weights"]).read_bytes() == Path(plain["weights"]).read_bytes()
    assert Path(own["weights"]).read_bytes() != Path(recipes["weights"]).read_bytes()


def pruned(method: str, ratio: float, folder: Path, before: dict[str, Any] | None = None) -> dict[str, Any]:
    given = {"weights": before["weights"], "structure": before["structure"]} if before else {}
    return prune(open_network(asked("resnet14", method=method, **given)), ratio=ratio, folder=folder)


def test_what_was_pruned_before_is_pruned_further(tmp_path: Path) -> None:
    once = pruned("widthwise", 0.3, tmp_path / "once")
    twice = pruned("widthwise", 0.6, tmp_path / "twice", once)
    at_once = pruned("widthwise", 0.6, tmp_path / "at_once")
    structures = [Definition.read(Path(answer["structure"])) for answer in (once, twice, at_once)]
    assert structures[1].layers == structures[2].layers
    assert twice["parameters"] == at_once["parameters"] < once["parameters"]
    for layer, kept in structures[1].kept.items():
        assert set(kept) <= set(structures[0].kept.get(layer, kept))
        assert len(kept) == structures[1].layers[layer]["out_channels"]
    # the weights tell that the kept channels are the original's: the stem's filters of the two are the same
    torch.manual_seed(0)
    original = build("resnet14", classes=10, channels=1)
    student = load_pruned(structures[1], Path(twice["weights"]))
    kept = list(structures[1].kept["stem.0"])
    assert torch.equal(student.get_submodule("stem.0").weight, original.get_submodule("stem.0").weight[kept])


def test_zeros_and_widths_are_pruned_one_after_the_other(tmp_path: Path) -> None:
    narrower = pruned("channels", 0.3, tmp_path / "narrower")
    sparse = pruned("weights", 0.5, tmp_path / "sparse", narrower)
    assert sparse["parameters"] == narrower["parameters"]
    assert sparse["nonzero"] < 0.55 * narrower["nonzero"]
    before, after = (Definition.read(Path(answer["structure"])) for answer in (narrower, sparse))
    assert (after.kept, after.layers, after.method, after.ratio) == (before.kept, before.layers, "weights", 0.5)


def test_what_is_gone_already_cant_go_again(tmp_path: Path) -> None:
    once = pruned("widthwise", 0.5, tmp_path / "once")
    with pytest.raises(UnsupportedModelError, match=r"0\.4 takes nothing from resnet14 by 'widthwise'") as e:
        pruned("widthwise", 0.4, tmp_path / "again", once)
    assert "smallest ratio that does is 0.6" in e.value.hint


def test_a_structure_of_another_model_is_refused(tmp_path: Path) -> None:
    once = prune(open_network(asked("resnet8")), ratio=0.5, folder=tmp_path)
    given = {"weights": once["weights"], "structure": once["structure"]}
    with pytest.raises(EdgekdError, match=r"structure\.json: made from resnet8 with 10 classes, not from resnet14"):
        open_network(asked("resnet14", **given))


def test_images_for_the_method_are_read_from_a_file(tmp_path: Path) -> None:
    images = {"images": torch.randn(8, 1, 16, 16), "labels": torch.arange(8)}
    safetensors.torch.save_file(images, tmp_path / "images.safetensors")
    taylor = asked(method="channels", options={"criterion": "taylor"}, calibration=str(tmp_path / "images.safetensors"))
    assert prune(open_network(taylor), ratio=0.5, folder=tmp_path / "student")["parameters"] > 0
    with pytest.raises(EdgekdError, match="needs training images"):
        prune(open_network({**taylor, "calibration": None}), ratio=0.5, folder=tmp_path / "none")


class Fixed:
    """A method that gives the student it is made with."""

    def __init__(self, student: nn.Module) -> None:
        self.student = student

    OPTIONS: Mapping[str, Option] = {}
    CHOICES: Mapping[str, tuple[str, ...]] = {}
    NEEDS_IMAGES = False

    def levels(self, subject: Subject) -> tuple[float, ...]:
        return (0.0, 0.5)

    def prune(self, subject: Subject, ratio: float) -> Student:
        return Student(self.student.eval())


def with_student(student: nn.Module) -> Opened:
    return dataclasses.replace(open_network(asked()), method=Fixed(student))


def test_a_student_with_fewer_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match=r"gives \(1, 6\) where it gave \(1, 10\)"):
        prune(with_student(build("resnet8", classes=6, channels=1)), ratio=0.5, folder=tmp_path)


def test_a_student_that_gives_nan_is_refused(tmp_path: Path) -> None:
    student = build("resnet8", classes=10, channels=1)
    nn.init.constant_(student.head[2].bias, float("nan"))
    with pytest.raises(UnsupportedModelError, match="pruned, resnet8 gives infinities or NaN"):
        prune(with_student(student), ratio=0.5, folder=tmp_path)


def test_a_student_that_its_files_dont_give_back_is_refused_and_not_left_behind(tmp_path: Path) -> None:
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

    pruned = prune(open_network(asked()), ratio=0.5, folder=tmp_path / "sound")
    sound = load_pruned(Definition.read(Path(pruned["structure"])), Path(pruned["weights"]))
    with pytest.raises(UnsupportedModelError, match="off by"):
        prune(with_student(Doubled(sound)), ratio=0.5, folder=tmp_path / "doubled")
    assert not list((tmp_path / "doubled").iterdir())


def test_a_folder_that_cant_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        prune(open_network(asked()), ratio=0.5, folder=tmp_path / "file")


def test_what_networks_raise_becomes_a_failure_that_names_them() -> None:
    failure = child._failure(ZeroDivisionError("division by zero"), "package.module:mine")
    assert failure["failure"] == "UnsupportedModelError"
    why = "what follows its channels failed at something new to it (ZeroDivisionError: division by zero)"
    assert failure["message"] == f"package.module:mine can't be pruned: {why}"
    assert "prune.ratio = 0" in failure["hint"]


@pytest.mark.parametrize(
    "limit_reached", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: …")]
)
def test_running_out_of_memory_is_told_from_other_failures(limit_reached: Exception) -> None:
    assert child._failure(limit_reached, "resnet8") == {"failure": "memory"}
