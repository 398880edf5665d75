import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from edgekd.errors import EdgekdError, StorageError, UnsupportedModelError
from edgekd.zoo.build import build
from edgekd.zoo.definition import Definition, apply_layers, layers_of, load_pruned, remove_blocks
from edgekd.zoo.weights import save_weights

KEPT = tuple(range(0, 64, 3))
REBUILD = """
import sys
from pathlib import Path
import torch
from edgekd.zoo.definition import Definition, load_pruned
folder = Path(sys.argv[1])
model = load_pruned(Definition.read(folder / "structure.json"), folder / "weights.safetensors").eval()
torch.save(model(torch.load(folder / "images.pt")), folder / "outputs.pt")
"""


def pruned_vgg6() -> nn.Module:
    """vgg6 with a third of the first layer's channels, cut by hand."""
    torch.manual_seed(0)
    model = build("vgg6", classes=10, channels=1)
    kept = torch.tensor(KEPT)
    first, norm = model.get_submodule("stage1.0.0"), model.get_submodule("stage1.0.1")
    second = model.get_submodule("stage2.0.0")
    assert isinstance(first, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert isinstance(second, nn.Conv2d)
    torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
    first.weight = nn.Parameter(first.weight[kept])
    first.out_channels = norm.num_features = second.in_channels = len(kept)
    norm.weight, norm.bias = nn.Parameter(norm.weight[kept]), nn.Parameter(norm.bias[kept])
    norm.running_mean, norm.running_var = torch.rand(len(kept)), torch.rand(len(kept)) + 0.5
    second.weight = nn.Parameter(second.weight[:, kept])
    return model.eval()


def structure_of(model: nn.Module) -> Definition:
    return Definition(
        model="vgg6",
        classes=10,
        channels=1,
        height=16,
        width=16,
        kept={"stage1.0.0": KEPT},
        layers=layers_of(model),
    )


def test_pruned_network_is_rebuilt_in_a_fresh_process(tmp_path: Path) -> None:
    model, images = pruned_vgg6(), torch.randn(3, 1, 16, 16)
    structure_of(model).write(tmp_path / "structure.json")
    save_weights(model, tmp_path / "weights.safetensors")
    torch.save(images, tmp_path / "images.pt")
    subprocess.run([sys.executable, "-c", REBUILD, str(tmp_path)], check=True)
    assert torch.equal(torch.load(tmp_path / "outputs.pt"), model(images))
    assert Definition.read(tmp_path / "structure.json") == structure_of(model)


def shortened_resnet14() -> tuple[nn.Module, Definition]:
    """resnet14 without two of its blocks, and what it is rebuilt from."""
    torch.manual_seed(0)
    model, removed = build("resnet14", classes=10, channels=1).eval(), ("stage1.0", "stage3.1")
    remove_blocks(model, removed)
    same = {"model": "resnet14", "classes": 10, "channels": 1, "height": 16, "width": 16}
    how = {"kept": {}, "removed": removed}
    return model, Definition.model_validate({**same, **how, "layers": layers_of(model)})


def test_blocks_that_are_gone_stay_gone(tmp_path: Path) -> None:
    model, structure = shortened_resnet14()
    assert not any(path.startswith(("stage1.0", "stage3.1")) for path in structure.layers)
    structure.write(tmp_path / "structure.json")
    save_weights(model, tmp_path / "weights.safetensors")
    rebuilt = load_pruned(Definition.read(tmp_path / "structure.json"), tmp_path / "weights.safetensors").eval()
    images = torch.randn(3, 1, 16, 16)
    assert torch.equal(rebuilt(images), model(images))


@pytest.mark.parametrize(("method", "zeros"), [("filters", 0.0), ("weights", 0.25)])
def test_a_definition_of_version_1_is_read(method: str, zeros: float, tmp_path: Path) -> None:
    model = pruned_vgg6()
    document = json.loads(structure_of(model).model_dump_json())
    del document["removed"], document["zeros"]
    old = {"schema_version": "edgekd.structure/1", "method": method, "ratio": 0.25, "block": 8}
    (tmp_path / "old.json").write_text(json.dumps({**document, **old}))
    assert Definition.read(tmp_path / "old.json") == structure_of(model).model_copy(update={"zeros": zeros})


def test_a_block_that_the_model_hasnt_is_refused(tmp_path: Path) -> None:
    model, structure = shortened_resnet14()
    save_weights(model, tmp_path / "weights.safetensors")
    for path in ("stage1.9", "stage9.0", "stage1.0.first.9"):
        wrong = structure.model_copy(update={"removed": (path,)})
        with pytest.raises(UnsupportedModelError, match=f"no block '{path}'"):
            load_pruned(wrong, tmp_path / "weights.safetensors")


def test_layers_are_the_widths_of_every_layer() -> None:
    layers = layers_of(build("mobilenet_v1:width=0.25", classes=10, channels=1))
    assert layers["stem.0"] == {"in_channels": 1, "out_channels": 8, "groups": 1}
    assert layers["blocks.1.0.0"] == {"in_channels": 16, "out_channels": 16, "groups": 16}
    assert layers["blocks.1.0.1"] == {"num_features": 16}
    assert layers["head.2"] == {"in_features": 256, "out_features": 10}


class Mixed(nn.Module):
    """One layer of every kind, with `inner` channels between them."""

    def __init__(self, inner: int, groups: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(2, inner, 3, groups=1)
        self.transposed = nn.ConvTranspose2d(inner, 2 * inner, 2, groups=groups)
        inner *= 2
        self.group_norm = nn.GroupNorm(groups, inner)
        self.instance_norm = nn.InstanceNorm2d(inner, affine=True, track_running_stats=True)
        self.slope = nn.PReLU(inner)
        self.scale = nn.Parameter(torch.ones(inner, 1, 1))
        self.register_buffer("offset", torch.zeros(inner, 1, 1))
        self.layer_norm = nn.LayerNorm(inner)
        self.linear = nn.Linear(inner, 3, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.slope(self.group_norm(self.transposed(self.convolution(x))))
        x = self.instance_norm(x) * self.scale + self.offset
        return self.linear(self.layer_norm(x.mean((2, 3))))


def test_layers_of_every_kind_are_resized() -> None:
    small, model = Mixed(6, 3).eval(), Mixed(16, 4).eval()
    apply_layers(model, layers_of(small))
    assert layers_of(model) == layers_of(small)
    model.load_state_dict(small.state_dict())
    images = torch.randn(2, 2, 8, 8)
    assert torch.equal(model(images), small(images))


def test_resized_layers_can_be_used_and_trained_at_once() -> None:
    model = build("vgg6", classes=10, channels=1)
    apply_layers(model, layers_of(pruned_vgg6()))
    outputs = model(torch.randn(4, 1, 16, 16))
    outputs.sum().backward()
    assert outputs.isfinite().all()
    assert all(p.grad is not None for p in model.parameters())


def test_structure_of_another_model_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="isn't this model's: 'stage"):
        apply_layers(build("resnet8", classes=10, channels=1), layers_of(build("vgg6", classes=10, channels=1)))


def test_weights_of_another_width_are_refused(tmp_path: Path) -> None:
    save_weights(build("vgg6", classes=10, channels=1), tmp_path / "w.safetensors")
    with pytest.raises(UnsupportedModelError, match=r"stage1\.0\.0\.weight \(64, 1, 3, 3\) for \(22, 1, 3, 3\)"):
        load_pruned(structure_of(pruned_vgg6()), tmp_path / "w.safetensors")


def test_file_that_is_no_structure_is_named(tmp_path: Path) -> None:
    path = tmp_path / "structure.json"
    with pytest.raises(StorageError, match=r"structure\.json: No such file"):
        Definition.read(path)
    structure_of(pruned_vgg6()).write(path)
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    with pytest.raises(EdgekdError, match=r"structure\.json: .*JSON"):
        Definition.read(path)
    path.write_text(json.dumps({**json.loads(text), "colour": "red"}))
    with pytest.raises(EdgekdError, match="unknown key 'colour'"):
        Definition.read(path)
    path.write_text(json.dumps({**json.loads(text), "classes": 0}))
    with pytest.raises(EdgekdError, match="classes"):
        Definition.read(path)
