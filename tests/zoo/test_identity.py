"""Networks are told apart by what they compute, not by their names; and the same one is the same in every process."""

import importlib.util
import os
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from edgekd.zoo.build import build
from edgekd.zoo.identity import digest, identity

SHAPE = (1, 16, 16)

NETS = """
import math
import torch
from torch import nn
from torch.nn import functional as F

class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return 2.0 * x
    @staticmethod
    def backward(ctx, g): return 2.0 * g

def double(x): return 2.0 * x

class Net(nn.Module):
    def __init__(self, classes, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8, eps=1e-5, momentum=0.1)
        self.drop = nn.Dropout(0.1)
        self.fc = nn.Linear(8, classes)
        self.scale = 0.5
        self.act = F.relu
        self.many = [1, 2]
        self.register_buffer("mask", torch.ones(8), persistent=False)
        for name in "abcdef":
            self.register_buffer(name, torch.ones(1), persistent=False)
        self.register_buffer("kept", torch.ones(8))
        self.plain = torch.ones(8)

    def forward(self, x):
        x = F.relu(self.norm(self.conv(x)))
        x = F.dropout(x, 0.1, self.training)
        x = self.drop(x.mean((2, 3)) * self.mask * self.kept * self.plain)
        return self.fc(self.act(x) * self.scale)

def make(classes, channels):
    return Net(classes, channels)
"""

BRANCH = "        if x.sum() > 1e9:\n            x = double(x)\n"
BRANCHING = NETS.replace("        return self.fc", f"{BRANCH}        return self.fc")

RETURN = "    return Net(classes, channels)"


def changed(how):
    """The factory's last line, when it does something to the network."""
    return RETURN, f"    net = Net(classes, channels)\n    net.conv.{how}\n    return net"


@pytest.fixture
def made(tmp_path):
    """The network of a project's `nets:make`."""
    count = iter(range(1000))

    def make(code, *others):
        folder = tmp_path / str(next(count))
        folder.mkdir()
        (folder / "nets.py").write_text(code)
        names = ["nets"]
        for name, text in others:
            (folder / f"{name}.py").write_text(text)
            names.insert(0, name)
        for name in names:
            spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
        return sys.modules["nets"].make(10, 1)

    yield make
    for name in ("nets", "helper"):
        sys.modules.pop(name, None)


def of(model):
    return identity(model, SHAPE)


EDITS = [
    ("stride=2", "stride=1"),
    ("padding=1)", 'padding=1, padding_mode="reflect")'),
    ("eps=1e-5", "eps=1e-3"),
    ("momentum=0.1", "momentum=0.2"),
    ("nn.Dropout(0.1)", "nn.Dropout(0.3)"),
    ("F.dropout(x, 0.1", "F.dropout(x, 0.3"),
    ("x = F.relu(", "x = F.relu6("),
    ("x = F.relu(", "x = torch.sigmoid("),
    ("self.scale = 0.5", "self.scale = 0.25"),
    ("self.act = F.relu", "self.act = F.relu6"),
    ("self.many = [1, 2]", "self.many = [1, 3]"),
    ('"mask", torch.ones(8)', '"mask", 2 * torch.ones(8)'),
    ("self.plain = torch.ones(8)", "self.plain = 2 * torch.ones(8)"),
    ("persistent=False", "persistent=True"),
    ("x.mean((2, 3))", "x.amax((2, 3))"),
    changed("requires_grad_(False)"),
    ("return self.fc(", "return self.fc(Double.apply"),
    changed("register_forward_hook(lambda *_: None)"),
]


@pytest.mark.parametrize("edit", EDITS, ids=[new.strip()[:40] for _, new in EDITS])
def test_an_edit_is_noticed(made, edit):
    assert edit[0] in NETS
    assert of(made(NETS)) != of(made(NETS.replace(*edit)))


@pytest.mark.parametrize(
    "edit",
    [
        ("x = double(x)", "x = double(double(x))"),
        ("def double(x): return 2.0 * x", "def double(x): return 3.0 * x"),
        ("> 1e9", "> 1e8"),
    ],
)
def test_where_a_network_branches_on_its_data_its_source_decides(made, edit):
    assert of(made(BRANCHING)) == of(made(BRANCHING))
    assert of(made(BRANCHING)) != of(made(BRANCHING.replace(*edit)))


def test_what_happens_by_chance_is_the_same_each_time_and_an_edit_of_it_is_noticed(made):
    skipping = BRANCHING.replace("if x.sum() > 1e9", "if self.training and random.random() < 0.01")
    skipping = skipping.replace("import math", "import random")
    found = set()
    for seed in range(3):
        random.seed(seed)
        found.add(of(made(skipping)))
    assert len(found) == 1
    assert of(made(skipping.replace("x = double(x)", "x = double(double(x))"))) not in found
    often = skipping.replace("< 0.01", "< 0.5")
    assert len({of(made(often)) for _ in range(4)}) == 1


def test_the_source_of_what_it_imports_from_beside_it_counts_too(made):
    code = BRANCHING.replace("def double(x): return 2.0 * x", "from helper import double")
    two, three = (("helper", f"def double(x): return {factor} * x\n") for factor in ("2.0", "3.0"))
    assert of(made(code, two)) == of(made(code, two))
    assert of(made(code, two)) != of(made(code, three))


def test_two_projects_of_the_same_names_and_shapes_are_distinguished(made):
    one = """
from torch import nn
def make(classes, channels):
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 32, 3, 1, 1),
        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, classes),
    )
"""
    other = one.replace("nn.ReLU(), nn.AdaptiveAvgPool2d(1)", "nn.Sigmoid(), nn.AdaptiveMaxPool2d(1)")
    assert of(made(one)) == of(made(one.replace("def make", "# a remark\ndef make")))
    assert of(made(one)) != of(made(other))


def test_weights_are_no_part_of_it_but_of_the_digest():
    torch.manual_seed(1)
    one, same, other = (build("resnet8", classes=10, channels=1) for _ in range(3))
    same.load_state_dict(one.state_dict())
    assert of(one) == of(other)
    assert digest(one) == digest(same)
    assert digest(one) != digest(other)


def test_the_shape_of_the_images_and_the_classes_count():
    net = build("resnet8", classes=10, channels=1)
    assert identity(net, (1, 16, 16)) != identity(net, (1, 32, 32))
    assert of(net) != of(build("resnet8", classes=11, channels=1))


def test_it_is_the_same_in_every_process(made, tmp_path):
    """Traced, and by its source."""
    expected = [of(made(NETS)), of(made(BRANCHING))]
    for name, code in (("traced", NETS), ("branching", BRANCHING)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "nets.py").write_text(code)
    script = """
import sys
from edgekd.zoo.identity import identity
for name in ("traced", "branching"):
    sys.path.insert(0, name)
    import nets
    print(identity(nets.make(10, 1), (1, 16, 16)))
    del sys.modules["nets"]
"""
    environment = {**os.environ, "PYTHONHASHSEED": "2", "OMP_NUM_THREADS": "2"}
    told = subprocess.check_output([sys.executable, "-c", script], cwd=tmp_path, env=environment, text=True)
    assert told.split() == expected


def test_asking_changes_nothing(made):
    net = made(NETS).train()
    state, attributes = digest(net), set(vars(net))
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    before = (torch.rand(3), random.random(), np.random.rand())
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    first, second = of(net), of(net)
    assert first == second
    assert torch.equal(torch.rand(3), before[0])
    assert (random.random(), np.random.rand()) == before[1:]
    assert net.training
    assert digest(net) == state
    assert set(vars(net)) == attributes
    assert all(p.grad is None for p in net.parameters())


class Failing(nn.Module):
    """Can't be copied, traced or run."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2)
        self.factor = self.fc.weight * 2  # no leaf, so it can't be copied

    def forward(self, x, mask):
        raise KeyError(mask)

    def extra_repr(self):
        raise KeyError("mine")


def test_what_cannot_be_copied_traced_or_run_still_has_one():
    assert of(Failing()) != of(nn.Linear(2, 2))


@pytest.mark.parametrize(
    "name", ["torchvision:mobilenet_v3_small", "torchvision:swin_t", "mobilenet_v2", "densenet_bc40"]
)
def test_networks_of_libraries_are_the_same_each_time(name):
    one, again = (build(name, classes=10, channels=3) for _ in range(2))
    assert identity(one, (3, 32, 32)) == identity(again, (3, 32, 32))


def test_digest_sees_values_names_and_types():
    torch.manual_seed(0)
    model = nn.BatchNorm2d(2)
    seen = {digest(model)}
    model.num_batches_tracked += 1
    seen.add(digest(model))
    seen.add(digest(model.double()))
    seen.add(digest(nn.Sequential(model)))
    assert len(seen) == 4
    assert digest(nn.Sequential(model)) in seen
