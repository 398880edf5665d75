"""Structures are tried by several processes, which say what one would."""

from pathlib import Path
from typing import Any

import psutil
import pytest
import safetensors.torch
import torch

from edgekd.errors import UnsupportedModelError
from edgekd.pruning import processes
from edgekd.pruning.child.protocol import Judging, Opening
from edgekd.pruning.process import PruningProcess
from edgekd.pruning.processes import PruningProcesses, available_bytes
from edgekd.values import Structure

MEMORY = 4_000_000_000
STRUCTURES = [Structure(widths={"stem.0": 8}), Structure(removed=("stage1.0",)), Structure()]


def running() -> int:
    children = psutil.Process().children()
    return sum("edgekd.pruning.child" in child.cmdline() for child in children)


@pytest.fixture
def opening(tmp_path: Path) -> Opening:
    generator = torch.Generator().manual_seed(0)
    images = {"images": torch.randn(64, 1, 16, 16, generator=generator), "labels": torch.arange(64) % 10}
    safetensors.torch.save_file(images, tmp_path / "images.safetensors")
    shape = {"classes": 10, "channels": 1, "height": 16, "width": 16, "channel_block": 8}
    return Opening(model="resnet14", images=tmp_path / "images.safetensors", memory_bytes=MEMORY, **shape)


@pytest.fixture
def three_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "cores", lambda: 3)


@pytest.mark.slow
@pytest.mark.usefixtures("three_cores")
def test_several_say_of_each_structure_what_one_says(opening: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "available_bytes", lambda: 100 * MEMORY)
    before = running()
    with PruningProcesses(MEMORY) as several:
        one = several.open(opening, timeout_s=120)
        scores = one.scores(Judging(criterion="l1"))
        assert running() - before == 1
        found = several.losses(STRUCTURES, scores, 64)
        assert running() - before == 3
        assert found == tuple(one.loss(each, scores, 64) for each in STRUCTURES)
        assert len(set(found)) == 3
    assert running() == before


@pytest.mark.slow
@pytest.mark.usefixtures("three_cores")
@pytest.mark.parametrize(("memory", "count"), [(0, 1), (1.5 * MEMORY, 2), (100 * MEMORY, 3)])
def test_there_are_as_many_as_memory_allows(
    opening: Opening, monkeypatch: pytest.MonkeyPatch, memory: float, count: int
) -> None:
    """Fewer of them compute with no more threads: sums of other threads would differ in their last digits."""
    threads, loss = set(), PruningProcess.loss

    def told(*given: Any, **named: Any) -> float | None:
        threads.add(named["threads"])
        return loss(*given, **named)

    monkeypatch.setattr(PruningProcess, "loss", told)
    monkeypatch.setattr(processes, "available_bytes", lambda: int(memory))
    before = running()
    with PruningProcesses(MEMORY) as several:
        scores = several.open(opening, timeout_s=120).scores(Judging(criterion="l1"))
        several.losses(STRUCTURES, scores, 64)
        assert running() - before == count
    assert threads == {1}


@pytest.mark.slow
@pytest.mark.usefixtures("three_cores")
def test_what_one_of_them_can_not_do_ends_all(opening: Opening) -> None:
    before = running()
    with PruningProcesses(MEMORY) as several:
        scores = several.open(opening, timeout_s=120).scores(Judging(criterion="l1"))
        several.open(opening, timeout_s=0.01)
        with pytest.raises(UnsupportedModelError, match=r"can't be pruned in 0\.01 s"):
            several.losses(STRUCTURES, scores, 64)
        several.open(opening, timeout_s=120)
        assert None not in several.losses(STRUCTURES, scores, 64)
    assert running() == before


@pytest.mark.parametrize(("most", "taken", "left"), [("max", "5", None), ("1000", "400", 600), ("1000", "2000", 0)])
def test_memory_is_bounded_by_that_of_a_container(tmp_path: Path, most: str, taken: str, left: int | None) -> None:
    (tmp_path / "memory.max").write_text(most)
    (tmp_path / "memory.current").write_text(taken)
    free = available_bytes(tmp_path)
    assert free > 1e6 if left is None else free == left
    assert available_bytes(tmp_path / "none") > 1e6
