import copy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edgekd.data.dataset import Augmentation, Dataset
from edgekd.training import ranks

pytestmark = pytest.mark.alone

TRAIN = """
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from edgekd.data.load import load_dataset
from edgekd.training import ranks
from edgekd.training.engine import train
from edgekd.training.losses.ce import CrossEntropy
from edgekd.training.losses.kd import Distillation
from edgekd.training.objective import Objective, Term
from edgekd.training.setup import Means, Setup
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
with ranks.joined() as rank:
    setup = Setup(model, objective, data, settings, 0, teacher)
    trained = train(setup, Execution(), Means(out / "c.pt", Silent(), out / "cache"))
    torch.save(model.state_dict(), out / f"{rank.number}.pt")
line = ", ".join(f"{epoch.loss:.4f} {epoch.validation.correct}" for epoch in trained.history)
sys.stdout.write(line + "\\n")  # in one piece: both processes write to the same pipe
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


SERVE = """
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from edgekd.data.load import load_dataset
from edgekd.errors import UnsupportedModelError
from edgekd.progress import Silent
from edgekd.run import Run, Workspace
from edgekd.store import Store
from edgekd.training import ranks, stage
from edgekd.training.divergence import DivergedError
from edgekd.training.stage import TrainingInputs, train_network
from edgekd.values import Training
from edgekd.zoo import networks

out, what = Path(sys.argv[1]), sys.argv[2]

class Listener(Silent):
    def advance(self, done, total, detail=""):
        if what == "fails in a training":
            raise RuntimeError("the disk is full")

torch.set_num_threads(1)
data = load_dataset("digits")
data = replace(data, train=replace(data.train, pixels=data.train.pixels[:128], labels=data.train.labels[:128]))

def refuse(setup):
    raise UnsupportedModelError("no kernel")

def give_up(run, inputs):
    # as the pipeline does where it can do without a training
    try:
        run.stage("recover", inputs, train_network)
    except (DivergedError, UnsupportedModelError) as e:
        print(type(e).__name__)

def lead():
    if what == "fails before":
        raise RuntimeError("there is no device")
    run = Run(store=Store(out / "run"), shared=Store(out / "shared"), progress=Listener())
    # decided after the others loaded the data
    augmented = replace(data, augmentation=replace(data.augmentation, pad=2, flip=True))
    known = networks.architecture("resnet8", classes=10, shape=data.train.shape)
    first = networks.save(networks.untrained(known, 0), out / "w.safetensors", known, origin="random")
    ways = {"precision": "fp32", "memory_format": "contiguous", "threads": 1, "compiled": False}
    settings = Training(epochs=1, batch_size=63 if what == "can't be shared" else 64, learning_rate=0.02, **ways)
    if what == "diverges at first":
        too_fast = settings.model_copy(update={"learning_rate": 1e30})
        give_up(run, TrainingInputs(first, too_fast, augmented, seed=1, ranks=ranks.count()))
    if what == "can't be timed at first":
        choose, stage.choose_execution = stage.choose_execution, refuse
        give_up(run, TrainingInputs(first, settings, augmented, seed=1, ranks=ranks.count()))
        stage.choose_execution = choose
    for seed in (1, 2, 1):
        inputs = TrainingInputs(first, settings, augmented, seed=seed, ranks=ranks.count())
        trained = run.stage("recover", inputs, train_network)
        print(trained.weights.path.name, trained.accuracy.correct)

with ranks.joined() as rank:
    if rank.is_main:
        lead()
    else:
        ranks.serve(replace(data, content="other") if what == "loads other data" else data)
        print("served")
"""


RACE = """
import sys
from dataclasses import replace
from pathlib import Path

import torch

from edgekd.data.load import load_dataset
from edgekd.progress import Silent
from edgekd.run import Run
from edgekd.store import Store
from edgekd.training import ranks
from edgekd.training.race import Rounds, race
from edgekd.training.stage import TrainingInputs, train_network
from edgekd.training.supervision import Supervision, Teacher
from edgekd.values import Recovery
from edgekd.zoo import networks

out = Path(sys.argv[1])
torch.set_num_threads(1)
data = load_dataset("digits")
data = replace(data, train=replace(data.train, pixels=data.train.pixels[:128], labels=data.train.labels[:128]))

def lead():
    run = Run(store=Store(out / "run"), shared=Store(out / "shared"), progress=Silent())
    known = networks.architecture("resnet8", classes=10, shape=data.train.shape)
    first, taught = (
        networks.save(networks.untrained(known, seed), out / f"{seed}.safetensors", known, origin="random")
        for seed in (0, 1)
    )
    ways = {"precision": "fp32", "memory_format": "contiguous", "threads": 1, "teacher_precision": "fp32"}
    settings = Recovery(epochs=2, batch_size=16, compiled=False, **ways)
    teachers = Supervision((Teacher(taught),))
    inputs = TrainingInputs(first, settings, data, 3, teachers, ranks=ranks.count())
    raced = race(run, inputs, Rounds(1, 2, 2), 0.1)
    trained = run.stage("recover", raced.inputs, train_network)
    print(raced.by.race.steps, trained.accuracy.images)

with ranks.joined() as rank:
    if rank.is_main:
        lead()
    else:
        ranks.serve(data)
        print("served")
"""


def test_all_processes_take_part_in_a_race(tmp_path: Path) -> None:
    script = tmp_path / "race.py"
    script.write_text(RACE)
    ended = start(str(script), tmp_path, processes=2)
    assert ended.returncode == 0, ended.stderr
    assert sorted(ended.stdout.splitlines()) == ["12 179", "served"]


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("serving") / "serve.py"
    path.write_text(SERVE)
    return str(path)


def test_rank_0_runs_the_stages_and_the_others_take_part_in_its_trainings(serving: str, tmp_path: Path) -> None:
    printed = []
    for count in (1, 2):
        folder = tmp_path / str(count)
        folder.mkdir()
        ended = start(serving, folder, "", processes=count)
        assert ended.returncode == 0, ended.stderr
        printed.append(sorted(ended.stdout.splitlines()))
        # two trainings, the third was found
        assert len(list((folder / "run" / "stages").glob("recover-*"))) == 2
    assert printed[1] == sorted([*printed[0], "served"])


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("fails before", "there is no device"),
        ("fails in a training", "the disk is full"),
        ("loads other data", "this rank and rank 0 loaded different images of digits"),
        ("can't be shared", "a batch of 63 images can't be divided equally among 2 processes"),
    ],
)
def test_all_end_with_an_error_where_one_fails(serving: str, tmp_path: Path, what: str, says: str) -> None:
    ended = start(serving, tmp_path, what, processes=2)
    assert ended.returncode != 0
    assert says in ended.stderr
    assert "served" not in ended.stdout


@pytest.mark.parametrize(
    ("what", "error"),
    [("diverges at first", "DivergedError"), ("can't be timed at first", "UnsupportedModelError")],
)
def test_all_go_on_where_rank_0_goes_on_without_a_training(serving: str, tmp_path: Path, what: str, error: str) -> None:
    ended = start(serving, tmp_path, what, processes=2)
    assert ended.returncode == 0, ended.stderr
    said = ended.stdout.splitlines()
    assert sorted(said)[0] == error
    assert "served" in said
    assert len(said) == 1 + 3 + 1


def test_a_rank_gets_its_own_images_as_rank_0_augments_them(few_digits: Dataset) -> None:
    flipped = replace(few_digits, augmentation=Augmentation(pad=1, flip=True), notes=("decided",))
    message = ranks._pickled((ranks.serve, {"data": flipped}, "cache"))
    assert len(message) < 10_000  # no images are in it
    own = replace(few_digits, train=copy.copy(few_digits.train))
    function, inputs, cache = ranks._unpickled(message, own)
    assert (function, cache) == (ranks.serve, "cache")
    assert inputs["data"].train is own.train
    assert replace(inputs["data"], train=flipped.train) == flipped


def test_one_process_is_rank_0() -> None:
    model = torch.nn.Linear(2, 2)
    with ranks.joined() as rank:
        assert (rank.number, rank.count, rank.is_main, ranks.count(), ranks.broadcast("x")) == (0, 1, True, 1, "x")
        assert ranks.parallel(model) is model
