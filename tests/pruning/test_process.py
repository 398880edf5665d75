import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edgekd.errors import EdgekdError, PruningProcessError, StorageError
from edgekd.pruning.child.protocol import Judging, Opening
from edgekd.pruning.process import PruningProcess
from edgekd.search._widths import widths_by_layer
from edgekd.values import Structure

L1 = Judging(criterion="l1")


def asked(model: str, **changed: Any) -> Opening:
    shape = {"classes": 10, "channels": 1, "height": 16, "width": 16, "channel_block": 8}
    return Opening(model=model, **{**shape, "memory_bytes": 4_000_000_000, **changed})


@contextmanager
def process(model: str, *, timeout_s: float = 120, **changed: Any) -> Iterator[PruningProcess]:
    opening = asked(model, **changed)
    with PruningProcess(opening.memory_bytes) as found:
        found.open(opening, timeout_s=timeout_s)
        yield found


def test_the_parent_imports_no_torch() -> None:
    program = "import sys, edgekd.pruning.process; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_one_child_prunes_a_users_model_to_several_structures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "chatty.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def forward(self, x):\n"
        "        print('shape', x.shape)\n"
        "        return super().forward(x)\n"
        "def make(classes, channels):\n"
        "    body = nn.Conv2d(channels, 32, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()\n"
        "    return Net(*body, nn.Linear(32, classes))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with process("chatty:make") as chatty:
        space = chatty.space(["channels"])
        scores = chatty.scores(L1).channels
        half, quarter = (
            chatty.prune(Structure(widths=widths_by_layer(space, ratio)), L1, tmp_path / f"{ratio}")
            for ratio in (0.5, 0.25)
        )
    # 32 filters of 9 weights and a bias, each read by 10 outputs; widths of 32, 24, 16 and 8
    (group,) = space.groups
    assert (group.root, group.allowed) == ("0", (8, 16, 24, 32))
    assert len(scores["0"]) == 32
    assert half.cost.parameters == 16 * (9 + 1 + 10) + 10
    assert quarter.cost.parameters == 24 * (9 + 1 + 10) + 10
    assert half.cost.macs == 16 * (9 * 14 * 14 + 10)
    assert half.weights.is_file()
    assert half.definition.is_file()


def test_another_network_takes_the_place_of_the_first_in_the_same_process(tmp_path: Path) -> None:
    """And is pruned as in a process of its own, whatever was asked before."""
    with process("resnet8") as alone:
        expected = alone.prune(Structure(widths={"stem.0": 8}), L1, tmp_path / "alone")
    with process("vgg6") as network:
        first = network.space(["channels"])
        started = network._worker
        network.open(asked("resnet8"), timeout_s=120)
        second = network.prune(Structure(widths={"stem.0": 8}), L1, tmp_path / "second")
        network.open(asked("vgg6"), timeout_s=120)
        assert network.space(["channels"]) == first
        assert network._worker is started is not None
    assert second.weights.read_bytes() == expected.weights.read_bytes()


def test_after_a_failure_it_starts_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fatal.py").write_text("import os\nos.abort()\n")
    monkeypatch.chdir(tmp_path)
    with PruningProcess(4_000_000_000) as network:
        for model in ("fatal:make", "resnet9"):
            with pytest.raises(EdgekdError, match=model):
                network.open(asked(model), timeout_s=120)
        network.open(asked("resnet8"), timeout_s=120)
        assert network.space(["channels"]).groups


def test_missing_weights_are_an_error_of_their_own(tmp_path: Path) -> None:
    missing = tmp_path / "missing.safetensors"
    with pytest.raises(StorageError, match=r"missing\.safetensors") as e, process("resnet8", weights=missing):
        pass
    assert e.value.hint


def test_a_network_that_hangs_ends_at_the_time_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(PruningProcessError, match="slow:make can't be pruned in 1 s") as e,
        process("slow:make", timeout_s=1),
    ):
        pass
    assert "prune.timeout_s" in e.value.hint


def test_a_network_that_eats_memory_ends_at_the_memory_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "large.py").write_text(
        "from torch import nn\n"
        "class Large(nn.Linear):\n"
        "    def forward(self, x):\n"
        "        return [bytearray(10_000_000) for _ in range(10_000)]\n"
        "def make():\n"
        "    return Large(1, 1)\n"
    )
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(PruningProcessError, match=r"large:make can't be pruned in 2 GB of memory") as e,
        process("large:make", memory_bytes=2_000_000_000),
    ):
        pass
    assert "prune.memory_bytes" in e.value.hint


def test_a_network_that_takes_the_process_down_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deadly.py").write_text("import os\nos.abort()\n")
    monkeypatch.chdir(tmp_path)
    says = r"deadly:make can't be pruned: .* ended with signal 6"
    with pytest.raises(PruningProcessError, match=says), process("deadly:make"):
        pass


def test_a_process_that_the_system_killed_is_no_reason_not_to_prune() -> None:
    with process("resnet8") as network:
        os.kill(network._started().pid, signal.SIGKILL)
        with pytest.raises(PruningProcessError, match="ended with signal 9") as e:
            network.space(["channels"])
        assert "run out of memory" in e.value.hint
