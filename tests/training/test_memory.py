"""Photos of 224 pixels fit into a container of 2 GB: a network sees few of them at once."""

import subprocess
import sys

_TRAINED = """
import resource, sys, tempfile
from pathlib import Path
import torch
from torch import nn
from edgekd.data.dataset import Augmentation, Dataset
from edgekd.data.memory_images import MemoryImages
from edgekd.progress import Silent
from edgekd.training.engine import train
from edgekd.training.objective import build_objective
from edgekd.training.setup import Means, Setup
from edgekd.values import Training
from edgekd.values.losses import LABELS_ALONE
from edgekd.values.training import Execution

def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

pixels = torch.randint(0, 256, (128, 3, 224, 224), dtype=torch.uint8).numpy()
images = MemoryImages(pixels, torch.arange(128) % 2, (0.5,) * 3, (0.5,) * 3)
data = Dataset("made up", ("a", "b"), images, images, images, Augmentation(0, False), (0.5,) * 3, (0.5,) * 3, "x")
network = nn.Sequential(nn.Conv2d(3, 16, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 2))
shown = next(iter(images.batches(2)))[0]
objective = build_objective(LABELS_ALONE, network, None, shown)
before = most()
with tempfile.TemporaryDirectory() as folder:
    setup = Setup(network, objective, data, Training(epochs=1), seed=0)
    train(setup, Execution(), Means(Path(folder) / "c.pt", Silent()))
print(most() - before)
"""


def test_a_network_sees_few_photos_at_once() -> None:
    """All 128 of one layer's maps are 0.4 GB, and training keeps several of such: it took 1.6 GB, validation 1.1."""
    done = subprocess.run([sys.executable, "-c", _TRAINED], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 800_000_000
