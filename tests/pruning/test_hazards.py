"""torchvision's networks: those that can be pruned are, and those that can't end within the limits."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgekd.errors import UnsupportedModelError
from edgekd.pruning.child.protocol import Judging, Opening, PrunedFiles
from edgekd.pruning.process import PruningProcess
from edgekd.search._widths import widths_by_layer
from edgekd.values import Structure
from edgekd.zoo.definition import Definition, load_pruned

pytestmark = pytest.mark.slow


@contextmanager
def process(name: str, *, size: int, memory_bytes: int = 2_000_000_000) -> Iterator[PruningProcess]:
    opening = Opening(
        model=f"torchvision:{name}",
        classes=1000,
        channels=3,
        height=size,
        width=size,
        channel_block=8,
        memory_bytes=memory_bytes,
    )
    with PruningProcess(memory_bytes) as found:
        found.open(opening, timeout_s=120)
        yield found


def pruned(network: PruningProcess, ratio: float, folder: Path) -> PrunedFiles:
    widths = widths_by_layer(network.space(["channels"]), ratio) if ratio else {}
    return network.prune(Structure(widths=widths), Judging(criterion="l1"), folder)


@pytest.mark.parametrize(
    "name", ["mobilenet_v2", "resnet18", "densenet121", "squeezenet1_1", "regnet_y_400mf", "efficientnet_b0"]
)
def test_convolutional_networks_are_pruned_and_keep_their_classes(name: str, tmp_path: Path) -> None:
    with process(name, size=64) as network:
        whole = pruned(network, 0, tmp_path / "whole")
        narrow = pruned(network, 0.4, tmp_path / "pruned")
    assert narrow.cost.parameters < 0.6 * whole.cost.parameters
    assert narrow.cost.macs < 0.7 * whole.cost.macs
    student = load_pruned(Definition.read(narrow.definition), narrow.weights)
    last = [m for m in student.modules() if hasattr(m, "out_features") or hasattr(m, "out_channels")][-1]
    assert 1000 in (getattr(last, "out_features", None), getattr(last, "out_channels", None))


def test_what_the_dependency_graph_cant_follow_is_pruned_where_it_can_be(tmp_path: Path) -> None:
    with process("shufflenet_v2_x0_5", size=64) as network:
        whole, narrow = (pruned(network, ratio, tmp_path / f"{ratio}") for ratio in (0, 0.5))
    assert narrow.cost.macs < 0.7 * whole.cost.macs


@pytest.mark.parametrize(
    ("name", "layer"),
    [("vit_b_16", r"'encoder\.layers\.encoder_layer_0\.self_attention'"), ("swin_t", r"'features\.1\.0\.attn'")],
)
def test_what_cant_be_pruned_is_refused_within_the_limits(name: str, layer: str, tmp_path: Path) -> None:
    with process(name, size=224, memory_bytes=4_000_000_000) as network:
        with pytest.raises(UnsupportedModelError, match=f"can't be pruned.*{layer}") as e:
            pruned(network, 0.4, tmp_path)
        assert "search.ratio = 0" in e.value.hint
    assert not list(tmp_path.iterdir())
