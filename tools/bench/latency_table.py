"""How well a latency table predicts networks that it was not learned from, and what a search by it takes without
measuring: `python tools/bench/latency_table.py`, some minutes a network on two quiet cores. Others are asked for
by `--models NAME@SIZExCHANNELS`, once for each.

Networks have random weights, and images are noise, since neither decides the time.
"""

import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table as Shown

from edgekd import catalog
from edgekd.data.dataset import Augmentation, Dataset
from edgekd.data.memory_images import dataset_in_memory
from edgekd.devices.device import LOCAL, connect
from edgekd.gate import budget as budgets
from edgekd.pipeline.candidates import NetworkCandidates
from edgekd.pipeline.deployment import deployment
from edgekd.pipeline.goal import Goal
from edgekd.pipeline.graph import export
from edgekd.pipeline.prunable import Pruner
from edgekd.progress import Silent
from edgekd.run import Run
from edgekd.search._choices import choices_of
from edgekd.search._curves import curves
from edgekd.search._improving import improved
from edgekd.search._random import structures
from edgekd.search._table import learned
from edgekd.search.latency_table import Options
from edgekd.store import Store
from edgekd.values import Data, Pruning, Recipe, Structure
from edgekd.zoo import networks

MODELS = ("mobilenet_v1:width=0.5@28x1", "resnet32@28x1", "resnet56@32x3", "torchvision:mobilenet_v2@224x3")
VARIANTS = ("onnxruntime-fp32", "onnxruntime-int8")
TRAIN = 1400
ROW = ("model", "variant", "networks", "median error", "worst error", "traced in s", "searched in s")


def noise(size: int, channels: int) -> Dataset:
    """A data set of noise in ten classes."""
    random = np.random.default_rng(0)

    def split(count: int) -> Any:
        pixels = random.integers(0, 256, (count, channels, size, size), np.uint8)
        return pixels, torch.from_numpy(random.integers(0, 10, count))

    splits = {"train": split(TRAIN), "val": split(64), "test": split(64)}
    return dataset_in_memory("noise", tuple("abcdefghij"), splits, Augmentation(pad=0, flip=False))


def measured(spec: str, folder: Path, count: int, share: float) -> list[list[str]]:
    """A row for each variant."""
    model, _, shape = spec.partition("@")
    size, channels = map(int, shape.split("x"))
    data, target = noise(size, channels), catalog.target("x86-cpu")
    recipe = Recipe(model=model, data=Data(source="noise"), target="x86-cpu", budget="half-latency")
    architecture = networks.architecture(model, classes=10, shape=(channels, size, size))
    weights = folder / "weights.safetensors"
    network = networks.save(networks.untrained(architecture, 0), weights, architecture, origin="given")
    run = Run(store=Store(folder / "run"), shared=Store(folder / "shared"), progress=Silent())
    variants = tuple(variant for variant in target.variants if variant.name in VARIANTS)
    with run.resources, connect(LOCAL, target) as device, device.leased():
        how = deployment(recipe, target, data, device.facts, variants)
        goal = Goal(budgets.load("half-latency"), target, device, recipe.measure)
        artifacts = export(run, "baseline", network, how).artifacts
        checked = [SimpleNamespace(artifact=artifact) for artifact in artifacts]
        original: Any = SimpleNamespace(
            reference=checked[0], deployed=SimpleNamespace(artifacts=checked, raced={}, layers={})
        )
        pruner = Pruner(run, data, Pruning(criterion="bn_taylor"), target.channel_block)
        candidates = NetworkCandidates(network, pruner, goal, how, original)
        rows = []
        for name in VARIANTS:
            start = time.monotonic()
            table = learned(candidates.space, candidates.traced(structures(candidates.space, count), name))
            took = time.monotonic() - start
            start = time.monotonic()
            choices = choices_of(table)
            losses = curves(choices, candidates)
            assert losses
            limit = share * table.latency(Structure())
            found = improved(choices, losses, limit, candidates, most=Options().structures)
            searched = time.monotonic() - start
            errors = [f"{table.typical_error:.1%}", f"{table.worst_error:.1%}"]
            tried = f"{searched:.0f} ({len(found)} structures)"
            rows.append([model, name, str(count), *errors, f"{took:.0f}", tried])
        return rows


def main(models: list[str] | None = None, networks: int = 12, share: float = 0.5) -> None:
    """Print a row for each network and variant."""
    shown = Shown(*ROW)
    for spec in models or MODELS:
        with tempfile.TemporaryDirectory() as folder:
            for row in measured(spec, Path(folder), networks, share):
                print(*row, flush=True)
                shown.add_row(*row)
    Console().print(shown)


if __name__ == "__main__":
    typer.run(main)
