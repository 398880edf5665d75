import pickle
import resource
import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from edgekd.errors import StorageError, UnsupportedModelError
from edgekd.zoo.build import build
from edgekd.zoo.weights import load_weights, save_weights

touched: list[str] = []


class Payload:
    """What a hostile checkpoint could do: run a function upon loading."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return touched.append, ("ran",)


def network() -> nn.Module:
    return build("resnet8", classes=10, channels=1).eval()


def same(a: nn.Module, b: nn.Module) -> bool:
    other = b.state_dict()
    return all(torch.equal(value, other[key]) for key, value in a.state_dict().items())


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The system refuses to write files beyond this size, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    model, other = network(), network()
    model.get_submodule("stem.1").running_mean.fill_(3)
    save_weights(model, tmp_path / "new" / "w.safetensors")
    assert not same(model, other)
    load_weights(other, tmp_path / "new" / "w.safetensors")
    assert same(model, other)


def test_tied_weights_are_saved(tmp_path: Path) -> None:
    layer = nn.Linear(3, 3)
    save_weights(nn.Sequential(layer, layer), tmp_path / "w.safetensors")
    other = nn.Linear(3, 3)
    load_weights(nn.Sequential(other, other), tmp_path / "w.safetensors")
    assert same(layer, other)


@pytest.mark.parametrize("suffix", ["pt", "pth.tar"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state, "optimizer": {"lr": 0.1}},
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {"state_dict": {f"_orig_mod.module.{key}": value for key, value in state.items()}},
        lambda state: {key: value for key, value in state.items() if "num_batches" not in key},
        lambda state: {"model_state_dict": state, "optimizer_state_dict": {"state": {0: {"step": torch.ones(1)}}}},
        lambda state: {"net": {"ema": state, "decay": 0.9}},
        lambda state: {"state_dict": {f"net.{key}": value for key, value in state.items()}, "hyper_parameters": {}},
        lambda state: {key.replace("stem.", "stem.module."): value for key, value in state.items()},
        lambda state: {key.replace("stem.", "stem._orig_mod."): value for key, value in state.items()},
        lambda state: {"n_averaged": torch.tensor(3), **{f"module.{key}": value for key, value in state.items()}},
        lambda state: {"state_dict": state, "best": {key: value.clone() for key, value in state.items()}},
        lambda state: {key: value.to_sparse() for key, value in state.items()},
        lambda state: {key: value.double() for key, value in state.items()},
    ],
    ids=[
        "bare",
        "state_dict",
        "model",
        "DataParallel",
        "compiled",
        "before 0.4.1",
        "model_state_dict",
        "deeper",
        "Lightning",
        "a part in DataParallel",
        "a part compiled",
        "averaged",
        "twice the same",
        "sparse",
        "float64",
    ],
)
def test_torch_checkpoints_of_all_forms_are_loaded(tmp_path: Path, suffix: str, wrap: Any) -> None:
    model, other = network(), network()
    torch.save(wrap(model.state_dict()), tmp_path / f"w.{suffix}")
    load_weights(other, tmp_path / f"w.{suffix}")
    assert same(model, other)


@pytest.mark.parametrize("legacy", [False, True])
def test_pickle_is_refused_unrun_and_the_flag_named(tmp_path: Path, legacy: bool) -> None:
    path = tmp_path / "w.pt"
    torch.save({"model": network(), "extra": Payload()}, path, _use_new_zipfile_serialization=not legacy)
    touched.clear()
    with pytest.raises(StorageError, match=r"\(.*\), refused because loading it can run any code") as caught:
        load_weights(network(), path)
    assert "--trust-checkpoint" in caught.value.hint
    assert not touched


def test_bare_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(pickle.dumps({"a": Payload()}))
    touched.clear()
    with pytest.raises(StorageError, match="refused"):
        load_weights(network(), path)
    assert not touched


@pytest.mark.parametrize("form", [lambda m: m, lambda m: {"model": m}], ids=["network", "network under model"])
def test_trusted_pickle_of_a_network_is_loaded(tmp_path: Path, form: Any) -> None:
    model, other = network(), network()
    torch.save(form(model), tmp_path / "w.pt")
    load_weights(other, tmp_path / "w.pt", trust_checkpoint=True)
    assert same(model, other)


def test_trusted_pickle_of_missing_classes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("module_of_long_ago")
    module.Network = type("Network", (nn.Linear,), {"__module__": "module_of_long_ago"})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "module_of_long_ago", module)
    torch.save(module.Network(1, 1), tmp_path / "w.pt")
    monkeypatch.delitem(sys.modules, "module_of_long_ago")
    with pytest.raises(StorageError, match="classes that aren't here: No module named 'module_of_long_ago'"):
        load_weights(network(), tmp_path / "w.pt", trust_checkpoint=True)


def test_mismatch_names_the_keys(tmp_path: Path) -> None:
    state: dict[str, Tensor] = network().state_dict()
    del state["stem.0.weight"]
    state["surplus"] = torch.zeros(1)
    state["head.2.weight"] = torch.zeros(5, 64)
    safetensors.torch.save_file(state, tmp_path / "w.safetensors")
    model = network()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(UnsupportedModelError) as caught:
        load_weights(model, tmp_path / "w.safetensors")
    message = caught.value.message
    assert "1 missing: stem.0.weight" in message
    assert "1 unexpected: surplus" in message
    assert "1 of another shape: head.2.weight (5, 64) for (10, 64)" in message
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_weights_of_another_model_are_counted_not_all_listed(tmp_path: Path) -> None:
    save_weights(build("resnet20", classes=10, channels=1), tmp_path / "w.safetensors")
    with pytest.raises(UnsupportedModelError, match=r"\d+ unexpected: .* and \d+ more"):
        load_weights(network(), tmp_path / "w.safetensors")


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
@pytest.mark.parametrize("keep", [0, 5, 0.5, 0.999])
def test_truncated_file_is_named(tmp_path: Path, suffix: str, keep: float) -> None:
    whole, cut = tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}"
    if suffix == "pt":
        torch.save(network().state_dict(), whole)
    else:
        save_weights(network(), whole)
    data = whole.read_bytes()
    cut.write_bytes(data[: int(keep * len(data)) if keep < 1 else int(keep)])
    with pytest.raises(StorageError, match=r"cut\.\w+: truncated, or not"):
        load_weights(network(), cut)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_text_is_no_checkpoint(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("hello " * 100)
    with pytest.raises(StorageError, match=f"{name}: truncated, or not"):
        load_weights(network(), tmp_path / name)


def test_torchscript_is_distinguished(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(network(), torch.randn(1, 1, 8, 8)), tmp_path / "w.pt")
    with pytest.raises(StorageError, match="TorchScript"):
        load_weights(network(), tmp_path / "w.pt")


@pytest.mark.parametrize("content", [{"epoch": 3}, torch.zeros(3), {}, {"state_dict": {"a": 1}}])
def test_checkpoint_without_state_dict_says_what_it_holds(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(StorageError, match="holds no state dict"):
        load_weights(network(), tmp_path / "w.pt")


def test_missing_file_folder_and_unknown_kind_are_reported(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no such file"):
        load_weights(network(), tmp_path / "w.pt")
    with pytest.raises(StorageError, match="is a folder"):
        load_weights(network(), tmp_path)
    (tmp_path / "w.h5").write_bytes(b"\x89HDF\r\n\x1a\n and more")
    with pytest.raises(StorageError, match="not a kind of checkpoint"):
        load_weights(network(), tmp_path / "w.h5")


def test_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    model, other = network(), network()
    save_weights(model, path)
    with largest_file(10_000), pytest.raises(StorageError):
        save_weights(other, path)
    load_weights(other, path)
    assert same(model, other)
    assert [f.name for f in tmp_path.iterdir()] == ["w.safetensors"]


@pytest.mark.parametrize("name", ["w.bin", "w.ckpt", "w.pth.tar", "w", "w.of_last_week", "w.safetensors", "w.pt"])
@pytest.mark.parametrize("legacy", [False, True])
def test_checkpoints_are_known_by_what_they_hold_whatever_they_are_called(
    tmp_path: Path, name: str, legacy: bool
) -> None:
    model, other, third = network(), network(), network()
    torch.save(model.state_dict(), tmp_path / name, _use_new_zipfile_serialization=not legacy)
    load_weights(other, tmp_path / name)
    assert same(model, other)
    save_weights(model, tmp_path / name)
    load_weights(third, tmp_path / name)
    assert same(model, third)


class Own(nn.Module):
    """Whose submodules are called as torch's wrappers call theirs."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.add_module(name, nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)))


@pytest.mark.parametrize("name", ["module", "_orig_mod", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module.", "model."])
def test_a_users_own_names_stay(tmp_path: Path, name: str, prefix: str) -> None:
    model, other, third = Own(name), Own(name), Own(name)
    save_weights(model, tmp_path / "w.safetensors")
    load_weights(other, tmp_path / "w.safetensors")
    assert same(model, other)
    torch.save({f"{prefix}{key}": value for key, value in model.state_dict().items()}, tmp_path / "w.pt")
    load_weights(third, tmp_path / "w.pt")
    assert same(model, third)


def test_of_several_that_fit_none_is_guessed(tmp_path: Path) -> None:
    torch.save({"state_dict": network().state_dict(), "ema": network().state_dict()}, tmp_path / "w.pt")
    with pytest.raises(
        UnsupportedModelError, match="holds several state dicts that fit the model: state_dict, ema"
    ) as e:
        load_weights(network(), tmp_path / "w.pt")
    assert "torch.load(PATH)['state_dict']" in e.value.hint


def test_the_one_that_fits_is_taken_of_several(tmp_path: Path) -> None:
    model, other = network(), network()
    teacher = build("resnet14", classes=10, channels=1)
    torch.save({"teacher": teacher.state_dict(), "student": model.state_dict()}, tmp_path / "w.pt")
    load_weights(other, tmp_path / "w.pt")
    assert same(model, other)


@pytest.mark.parametrize("prefix", [None, "", "module."])
def test_versions_of_modules_are_kept(tmp_path: Path, prefix: str | None) -> None:
    # torchvision's mnasnet refuses a state dict that doesn't say its version
    model, other = (build("torchvision:mnasnet0_5", classes=10, channels=3) for _ in range(2))
    path = tmp_path / "w.pt"
    if prefix is None:
        save_weights(model, path)
    else:
        torch.save((nn.DataParallel(model) if prefix else model).state_dict(), path)
    load_weights(other, path)
    assert same(model, other)


@pytest.mark.parametrize("wrap", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_parametrised_layers_are_saved_and_loaded(tmp_path: Path, wrap: Any) -> None:
    model, other = (nn.Sequential(wrap(nn.Conv2d(1, 4, 3)), nn.BatchNorm2d(4)).eval() for _ in range(2))
    save_weights(model, tmp_path / "w.safetensors")
    load_weights(other, tmp_path / "w.safetensors")
    assert same(model, other)
    images = torch.randn(2, 1, 8, 8)
    assert torch.equal(model(images), other(images))


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`:FutureWarning")
def test_names_that_modules_translate_themselves_are_theirs(tmp_path: Path) -> None:
    old = nn.Sequential(nn.utils.weight_norm(nn.Conv2d(1, 4, 3)), nn.BatchNorm2d(4)).eval()
    new = nn.Sequential(parametrizations.weight_norm(nn.Conv2d(1, 4, 3)), nn.BatchNorm2d(4)).eval()
    torch.save({"state_dict": old.state_dict()}, tmp_path / "w.pt")
    load_weights(new, tmp_path / "w.pt")
    images = torch.randn(2, 1, 8, 8)
    torch.testing.assert_close(new(images), old(images))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_of_a_training_that_diverged_are_refused(tmp_path: Path, bad: float) -> None:
    model, other = network(), network()
    with torch.no_grad():
        model.get_submodule("head.2").weight.view(-1)[:7] = bad
    save_weights(model, tmp_path / "w.safetensors")
    before = {key: value.clone() for key, value in other.state_dict().items()}
    with pytest.raises(UnsupportedModelError, match=r"head.2.weight holds 7 values that are NaN or infinite, of 640"):
        load_weights(other, tmp_path / "w.safetensors")
    assert all(torch.equal(value, before[key]) for key, value in other.state_dict().items())


def test_constants_may_be_infinite(tmp_path: Path) -> None:
    model = nn.Linear(3, 3)
    model.register_buffer("mask", torch.full((3, 3), -torch.inf).triu(1))
    save_weights(model, tmp_path / "w.safetensors")
    load_weights(model, tmp_path / "w.safetensors")


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_quantised_weights_are_refused(tmp_path: Path) -> None:
    weight = torch.quantize_per_tensor(torch.randn(3, 3), 0.1, 0, torch.qint8)
    torch.save({"weight": weight, "bias": torch.zeros(3)}, tmp_path / "w.pt")
    with pytest.raises(UnsupportedModelError, match=r"quantised: weight is torch\.qint8"):
        load_weights(nn.Linear(3, 3), tmp_path / "w.pt")
    torch.save({"weight": weight.int_repr(), "bias": torch.zeros(3)}, tmp_path / "w.pt")
    with pytest.raises(UnsupportedModelError, match=r"weight holds torch\.int8, the model's is torch\.float32"):
        load_weights(nn.Linear(3, 3), tmp_path / "w.pt")


@pytest.mark.parametrize(("theirs", "colour"), [(3, "rgb"), (1, "grey")])
@pytest.mark.parametrize("classes", [10, 1000])
def test_weights_for_other_colours_name_the_setting(tmp_path: Path, theirs: int, colour: str, classes: int) -> None:
    save_weights(build("torchvision:squeezenet1_1", classes=classes, channels=theirs), tmp_path / "w.safetensors")
    model = build("torchvision:squeezenet1_1", classes=10, channels=4 - theirs)
    with pytest.raises(UnsupportedModelError) as caught:
        load_weights(model, tmp_path / "w.safetensors", spec="torchvision:squeezenet1_1")
    assert f'set colour = "{colour}"' in caught.value.hint


@pytest.mark.parametrize("spec", ["resnet8", "torchvision:squeezenet1_1"])
def test_weights_of_other_classes_are_kept_by_the_factory_that_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str
) -> None:
    model = build(spec, classes=1000, channels=3)
    save_weights(model, tmp_path / "w.safetensors")
    with pytest.raises(UnsupportedModelError, match=r"2 of another shape: .* \(1000, .* for \(10, ") as caught:
        load_weights(build(spec, classes=10, channels=3), tmp_path / "w.safetensors", spec=spec)
    said, _, code = caught.value.hint.partition("\n")
    assert "They are of 1000 classes, the data has 10." in said
    assert ("and --normalize imagenet." in said) == spec.startswith("torchvision:")
    assert "a low [teacher] learning_rate" in said
    name = f"head_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(code))
    monkeypatch.chdir(tmp_path)
    made = build(f"{name}:make", classes=10, channels=3).eval()
    assert made(torch.zeros(1, 3, 64, 64)).shape == (1, 10)
    first = next(iter(model.state_dict()))
    assert torch.equal(made.state_dict()[first], model.state_dict()[first])
