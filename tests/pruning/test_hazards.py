"""torchvision's networks: those that can be pruned are, and those that can't end within the limits."""

from pathlib import Path

import pytest

from edgekd.errors import UnsupportedModelError
from edgekd.pruning.pruner import Pruner
from edgekd.zoo.definition import Definition, load_pruned

pytestmark = pytest.mark.slow


def pruner(name: str, *, size: int, memory_bytes: int = 2_000_000_000) -> Pruner:
    return Pruner(
        f"torchvision:{name}",
        classes=1000,
        channels=3,
        height=size,
        width=size,
        weights=None,
        method="widthwise",
        block=8,
        timeout_s=120,
        memory_bytes=memory_bytes,
    )


@pytest.mark.parametrize(
    "name", ["mobilenet_v2", "resnet18", "densenet121", "squeezenet1_1", "regnet_y_400mf", "efficientnet_b0"]
)
def test_convolutional_networks_are_pruned_and_keep_their_classes(name: str, tmp_path: Path) -> None:
    with pruner(name, size=64) as network:
        whole = network.prune(0, tmp_path / "whole")
        pruned = network.prune(0.4, tmp_path / "pruned")
    assert pruned.parameters < 0.6 * whole.parameters
    assert pruned.macs < 0.7 * whole.macs
    student = load_pruned(Definition.read(pruned.structure), pruned.weights)
    last = [m for m in student.modules() if hasattr(m, "out_features") or hasattr(m, "out_channels")][-1]
    assert 1000 in (getattr(last, "out_features", None), getattr(last, "out_channels", None))


def test_what_the_dependency_graph_cant_follow_is_pruned_where_it_can_be(tmp_path: Path) -> None:
    with pruner("shufflenet_v2_x0_5", size=64) as network:
        whole, pruned = (network.prune(ratio, tmp_path / f"{ratio}") for ratio in (0, 0.5))
    assert pruned.macs < 0.7 * whole.macs


@pytest.mark.parametrize(
    ("name", "layer"),
    [("vit_b_16", r"'encoder\.layers\.encoder_layer_0\.self_attention'"), ("swin_t", r"'features\.1\.0\.attn'")],
)
def test_what_cant_be_pruned_says_so_within_the_limits(name: str, layer: str, tmp_path: Path) -> None:
    with pruner(name, size=224, memory_bytes=4_000_000_000) as network:
        with pytest.raises(UnsupportedModelError, match=f"can't be pruned.*{layer}") as e:
            network.prune(0.4, tmp_path)
        assert "prune.ratio = 0" in e.value.hint
    assert not list(tmp_path.iterdir())
