import subprocess
import sys
from pathlib import Path

import pytest
import torch

from edgekd.training import processes

pytestmark = pytest.mark.alone

TRAIN = """
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from edgekd.data.load import load_dataset
from edgekd.training import processes
from edgekd.training.engine import train
from edgekd.training.losses.ce import CrossEntropy
from edgekd.training.losses.kd import Distillation
from edgekd.training.objective import Objective, Term
from edgekd.progress import Silent
from edgekd.values.training import Execution
from edgekd.values import Training
from edgekd.zoo.build import build

out, batch_size = Path(sys.argv[1]), int(sys.argv[2])
torch.set_num_threads(1)
data = load_dataset("digits")
data = replace(data, train=replace(data.train, pixels=data.train.pixels[:256], labels=data.train.labels[:256]))
torch.manual_seed(0)
class Skipping(nn.Module):
    # leaves a layer out of every second step

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.Flatten())
        self.head, self.skipped, self.runs = nn.Linear(8 * 7 * 7, 10), nn.Linear(8 * 7 * 7, 10), 0

    def forward(self, images):
        self.runs += self.training
        seen = self.stem(images)
        return self.head(seen) if self.training and self.runs % 2 else self.head(seen) + self.skipped(seen)

model, teacher = Skipping(), build("resnet8", classes=10, channels=1)
objective = Objective([Term("ce", 0.5, CrossEntropy()), Term("kd", 0.5, Distillation(4.0))], needs_teacher=True)
settings = Training(epochs=3, batch_size=batch_size, learning_rate=0.02)
with processes.together():
    given = {"execution": Execution(), "objective": objective, "teacher": teacher, "progress": Silent()}
    trained = train(model, data, settings, seed=0, cache=out / "cache", checkpoint=out / "c.pt", **given)
    torch.save(model.state_dict(), out / f"{processes.rank()}.pt")
print(*[f"{epoch.loss:.4f} {epoch.validation.correct}" for epoch in trained.history], sep=", ")
"""


def start(script: str, *arguments: object, processes: int) -> "subprocess.CompletedProcess[str]":
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(launcher if processes > 1 else []), script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240)


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("script") / "train.py"
    path.write_text(TRAIN)
    return str(path)


def test_two_processes_train_what_one_trains(script: str, tmp_path: Path) -> None:
    outputs = []
    for count in (1, 2):
        (tmp_path / str(count)).mkdir()
        ended = start(script, tmp_path / str(count), 64, processes=count)
        assert ended.returncode == 0, ended.stderr
        outputs.append(ended.stdout.splitlines())
    assert outputs[1] == outputs[0] * 2
    one, first, second = (torch.load(tmp_path / path) for path in ("1/0.pt", "2/0.pt", "2/1.pt"))
    for name, weights in one.items():
        torch.testing.assert_close(first[name], weights, rtol=1e-4, atol=1e-5)
        assert torch.equal(first[name], second[name])


def test_batch_that_cannot_be_shared_equally_is_refused(script: str, tmp_path: Path) -> None:
    ended = start(script, tmp_path, 63, processes=2)
    assert ended.returncode != 0
    assert "a batch of 63 images can't be shared equally by 2 processes" in ended.stderr


def test_one_process_is_alone() -> None:
    model = torch.nn.Linear(2, 2)
    with processes.together():
        crew = processes.Crew()
        assert (processes.count(), processes.rank(), crew.leads, crew.agree("x")) == (1, 0, True, "x")
        assert processes.joined(model) is model
