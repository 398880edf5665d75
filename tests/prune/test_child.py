import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgekd.errors import EdgekdError, StorageError, UnsupportedModelError
from edgekd.prune import child
from edgekd.prune._base import Student
from edgekd.prune.child import Teacher, open_teacher, prune
from edgekd.zoo.build import build
from edgekd.zoo.structure import Structure, load_student
from edgekd.zoo.weights import save_weights


def asked(model: str = "resnet8", **changed: Any) -> dict[str, Any]:
    return {
        "model": model,
        "classes": 10,
        "channels": 1,
        "height": 16,
        "width": 16,
        "weights": None,
        "method": "filters",
        "block": 8,
        **changed,
    }


@pytest.mark.parametrize("spec", ["mobilenet_v1:width=0.25", "resnet8", "vgg6"])
def test_the_student_is_rebuilt_from_its_files(spec: str, tmp_path: Path) -> None:
    original = build(spec, classes=10, channels=1).eval()
    save_weights(original, tmp_path / "teacher.safetensors")
    teacher = open_teacher(asked(spec, weights=str(tmp_path / "teacher.safetensors")))
    answer = prune(teacher, ratio=0.5, folder=tmp_path / "new")
    structure = Structure.read(Path(answer["structure"]))
    student = load_student(structure, Path(answer["weights"])).eval()
    again = teacher.method.prune(original, teacher.example, ratio=0.5, block=8)
    images = torch.randn(4, 1, 16, 16)
    torch.testing.assert_close(student(images), again.model(images))
    assert structure.kept == dict(again.kept)
    assert (structure.model, structure.method, structure.ratio, structure.block) == (spec, "filters", 0.5, 8)
    assert answer["parameters"] == sum(p.numel() for p in student.parameters())
    assert answer["parameters"] < sum(p.numel() for p in original.parameters())


def test_a_ratio_of_zero_stores_the_same_network(tmp_path: Path) -> None:
    teacher = open_teacher(asked())
    answer = prune(teacher, ratio=0, folder=tmp_path)
    student = load_student(Structure.read(Path(answer["structure"])), Path(answer["weights"])).eval()
    torch.testing.assert_close(student(teacher.example), teacher.output)


def test_a_ratio_too_small_to_matter_names_the_smallest_that_does(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match=r"0\.01 takes nothing from resnet8") as e:
        prune(open_teacher(asked()), ratio=0.01, folder=tmp_path)
    assert "0.1" in e.value.hint
    assert not list(tmp_path.iterdir())


def test_a_network_without_a_layer_wider_than_a_block_has_nothing_to_prune(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="nothing to prune"):
        prune(open_teacher(asked(block=64)), ratio=0.5, folder=tmp_path)


def test_a_network_that_is_no_classifier_of_these_classes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "headless.py").write_text("from torch import nn\ndef make():\n    return nn.Conv2d(1, 6, 3)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UnsupportedModelError, match=r"gives \(1, 6, 14, 14\) for one image, not \(1, 10\)"):
        open_teacher(asked("headless:make"))


def test_an_unknown_method_names_the_known_ones() -> None:
    with pytest.raises(EdgekdError, match="filterz") as e:
        open_teacher(asked(method="filterz"))
    assert "filters" in e.value.hint


def test_broken_weights_are_told_from_broken_pruning(tmp_path: Path) -> None:
    model = build("resnet8", classes=10, channels=1)
    nn.init.constant_(model.head[2].bias, float("nan"))
    save_weights(model, tmp_path / "teacher.safetensors")
    with pytest.raises(UnsupportedModelError, match="NaN, unpruned"):
        open_teacher(asked(weights=str(tmp_path / "teacher.safetensors")))


class Fixed:
    """A method that gives the student it is made with."""

    def __init__(self, student: nn.Module) -> None:
        self.student = student

    def levels(self, *_: Any, **__: Any) -> tuple[float, ...]:
        return (0.0, 0.5)

    def prune(self, *_: Any, **__: Any) -> Student:
        return Student(self.student.eval(), {})


def with_student(student: nn.Module) -> Teacher:
    return dataclasses.replace(open_teacher(asked()), method=Fixed(student))


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

    pruned = prune(open_teacher(asked()), ratio=0.5, folder=tmp_path / "sound")
    sound = load_student(Structure.read(Path(pruned["structure"])), Path(pruned["weights"]))
    with pytest.raises(UnsupportedModelError, match="off by"):
        prune(with_student(Doubled(sound)), ratio=0.5, folder=tmp_path / "doubled")
    assert not list((tmp_path / "doubled").iterdir())


def test_a_folder_that_cant_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        prune(open_teacher(asked()), ratio=0.5, folder=tmp_path / "file")


def test_what_networks_raise_becomes_a_failure_that_names_them() -> None:
    failure = child._failure(ZeroDivisionError("division by zero"), "package.module:mine")
    assert failure["failure"] == "UnsupportedModelError"
    assert failure["message"] == "package.module:mine can't be pruned: ZeroDivisionError: division by zero"
    assert "prune.ratio = 0" in failure["hint"]


@pytest.mark.parametrize(
    "limit_reached", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: …")]
)
def test_running_out_of_memory_is_told_from_other_failures(limit_reached: Exception) -> None:
    assert child._failure(limit_reached, "resnet8") == {"failure": "memory"}
