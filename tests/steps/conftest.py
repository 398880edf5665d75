from dataclasses import replace

import pytest
import torch

from edgekd.data.load import load_dataset
from edgekd.progress import Silent
from edgekd.run import Run
from edgekd.steps._read import read_steps
from edgekd.steps._sequence import run_steps
from edgekd.steps._task import Task
from edgekd.store import Store
from edgekd.training.supervision import Supervision, Teacher
from edgekd.values import Recovery, Step, Training
from edgekd.values.rounding import Rounding
from edgekd.zoo import networks


@pytest.fixture(scope="package", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def run(tmp_path):
    return Run(store=Store(tmp_path / "run"), shared=Store(tmp_path / "shared"), progress=Silent())


@pytest.fixture(scope="session")
def few_digits():
    digits = load_dataset("digits")
    train = replace(digits.train, pixels=digits.train.pixels[:64], labels=digits.train.labels[:64])
    return replace(digits, train=train)


@pytest.fixture
def network(tmp_path):
    """A small network with random weights of a seed, on disk."""

    def make(seed=0, model="resnet8"):
        known = networks.architecture(model, classes=10, shape=(1, 16, 16))
        path = tmp_path / f"{model}-{seed}.safetensors"
        return networks.save(networks.untrained(known, seed), path, known, origin="given")

    return make


PINNED = {"precision": "fp32", "memory_format": "contiguous", "threads": 1, "compiled": False}


@pytest.fixture
def take(steps_taken):
    """The network after steps."""
    return lambda *stated, **changes: steps_taken(*stated, **changes).network


@pytest.fixture
def steps_taken(run, few_digits, network):
    """Takes steps from a network of random weights, taught by another one."""

    def steps(*stated, recover=None, pruned=None, start=None, **changes):
        task = Task(
            run=run,
            data=few_digits,
            supervision=Supervision((Teacher(network(7)),)),
            recover=recover or Recovery(epochs=1, batch_size=32, teacher_precision="fp32", **PINNED),
            seed=0,
            calibration_images=16,
            rounding=Rounding(),
            teacher=Training(epochs=1),
            pruned=pruned or (lambda network, share: network),
        )
        found = read_steps([Step.model_validate(step) for step in stated])
        return run_steps(found, start or network(), replace(task, **changes))

    return steps
