from pathlib import Path

import pytest
import torch

from edgekd.errors import EdgekdError, UnsupportedModelError
from edgekd.zoo.build import build

FACTORIES = """
from torch import nn

def both(classes, channels):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * 4, classes))

def only_classes(classes, hidden=3):
    return nn.Sequential(nn.Flatten(), nn.Linear(4, hidden), nn.Linear(hidden, classes))

def any_keywords(**given):
    return nn.Linear(given["channels"], given["classes"])

def number():
    return 5

def needs_more(classes, depth):
    return nn.Linear(1, classes)

limit = 7
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module in the working folder."""
    name = f"own_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(FACTORIES)
    monkeypatch.chdir(tmp_path)
    return name


def error(spec: str) -> EdgekdError:
    with pytest.raises(EdgekdError) as caught:
        build(spec, classes=10, channels=1)
    assert caught.value.hint
    return caught.value


def test_unknown_model_names_the_nearest() -> None:
    e = error("resnet23")
    assert e.message == "no model 'resnet23'"
    assert "Did you mean 'resnet20'?" in e.hint or "Did you mean 'resnet32'?" in e.hint
    assert "torchvision:NAME" in e.hint
    assert "mobilenet_v1" in error("mobilenet_v1x:width=0.5").hint


def test_misspelled_library_names_the_nearest() -> None:
    assert "Did you mean 'torchvision'?" in error("torchvison:resnet18").hint
    assert "Did you mean" not in error("no_nets_here:make").hint


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ("mobilenet_v1:widht=0.5", "no parameter 'widht'"),
        ("mobilenet_v1:0.5", "no KEY=VALUE in '0.5'"),
        ("mobilenet_v1:width=0.5,width=1", "twice the parameter 'width'"),
        ("mobilenet_v1:width=half", "width must be a number, not 'half'"),
        ("mobilenet_v1:blocks512=1.5", "blocks512 must be a whole number, not '1.5'"),
        ("mobilenet_v1:classes=5", "no parameter 'classes'"),
        ("mobilenet_v1:width=0.5,", "no KEY=VALUE in ''"),
    ],
)
def test_wrong_parameter_names_the_known_ones(spec: str, names: str) -> None:
    e = error(spec)
    assert names in e.message
    assert "width=1.0, blocks128=1, blocks256=1, blocks512=5" in e.hint


@pytest.mark.parametrize("value", ["width=0", "width=-1", "width=nan", "width=inf", "blocks512=-1", "blocks1024=101"])
def test_parameter_out_of_range_is_refused(value: str) -> None:
    assert value.partition("=")[0] in error(f"mobilenet_v1:{value}").message


def test_model_without_parameters_is_refused() -> None:
    assert "resnet8 has no parameters" in error("resnet8:depth=20").hint


def test_parameters_shape_the_model() -> None:
    narrow = build("mobilenet_v1: width = 0.25, blocks512 = 0", classes=10, channels=1)
    assert narrow.get_submodule("head.2").in_features == 256
    assert len(narrow.get_submodule("blocks")) == 8


def test_factory_gets_what_its_signature_takes(own_module: str) -> None:
    images = torch.randn(3, 2, 2, 2)
    assert build(f"{own_module}:both", classes=5, channels=2)(images).shape == (3, 5)
    assert build(f"{own_module}:only_classes", classes=5, channels=1)(images[:, :1]).shape == (3, 5)
    assert build(f"{own_module}:any_keywords", classes=5, channels=2)(torch.randn(3, 2)).shape == (3, 5)


def test_factory_that_gives_no_network_is_refused(own_module: str) -> None:
    e = error(f"{own_module}:number")
    assert isinstance(e, UnsupportedModelError)
    assert "gave a int" in e.message


def test_factory_that_fails_shows_why(own_module: str) -> None:
    assert "missing 1 required positional argument: 'depth'" in error(f"{own_module}:needs_more").message


def test_unknown_factory_names_the_nearest_of_its_module(own_module: str) -> None:
    assert "Did you mean 'both'?" in error(f"{own_module}:bith").hint
    assert "has no function 'limit'" in error(f"{own_module}:limit").message


def test_module_that_is_missing_or_broken_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no module 'not_there'" in error("not_there:make").message
    Path("broken_syntax.py").write_text("def make(:")
    assert "importing broken_syntax failed: SyntaxError" in error("broken_syntax:make").message
    Path("lacks_library.py").write_text("import library_nobody_has")
    assert "library_nobody_has" in error("lacks_library:make").message
