"""Whether a network can be pruned is found out before its teacher is trained."""

import pytest

from edgekd.pipeline.prunable import prunes
from edgekd.values import Keep, Recipe, SearchSettings, Step, Structure

NETS = """
import torch
from torch import nn

class Fixed(nn.Module):
    def __init__(self, classes, channels):
        super().__init__()
        self.only, self.head = nn.Conv2d(channels, 32, 3), nn.Linear(32, classes)

    def forward(self, x):
        return self.head(torch.relu(self.only(x)).mean((2, 3)).view(-1, 32))
"""


@pytest.fixture
def fixed(tmp_path, monkeypatch):
    (tmp_path / "fixed_nets.py").write_text(NETS)
    monkeypatch.syspath_prepend(tmp_path)
    return "fixed_nets:Fixed"


def test_what_cant_be_pruned_right_ends_before_its_teacher_is_trained(compress, fixed, tmp_path):
    ended = compress(tmp_path / "run", "--model", fixed, "--ratio", "0.5", target="android-phone")
    assert ended.code == 2
    assert "the network can't be pruned: no layer can be narrowed" in " ".join(ended.err.split())
    assert "--ratio 0" in ended.err
    assert "teacher: training" not in ended.err
    assert "exporting" not in ended.err


@pytest.mark.parametrize(
    ("stated", "says"),
    [
        ('[search.structure.widths]\n"stem.0" = 40\n', "so 40 can't be kept of them"),
        ('[prune]\ncriterion = "two_of_four"\n[search]\nratio = 0.5\n', "0.5 of the weights zero, not 0.25"),
    ],
)
def test_what_cant_be_pruned_in_several_steps_ends_before_its_teacher_is_trained(compress, tmp_path, stated, says):
    path = tmp_path / "recipe.toml"
    steps = '[{do = "prune", share = 0.5}, "distil", "prune", "distil"]'
    path.write_text(f"steps = {steps}\n{stated}")
    ended = compress(tmp_path / "run", "--recipe", path, target="android-phone")
    assert ended.code == 2
    assert says in " ".join(ended.err.split())
    assert "teacher: training" not in ended.err


def recipe(**changed):
    return Recipe(model="vgg6", data="digits", target="x86-cpu", budget="half-latency", **changed)


@pytest.mark.parametrize(
    ("changed", "has_device", "expected"),
    [
        ({}, True, True),
        ({}, False, False),  # there is nothing to plan by
        ({"search": SearchSettings(keep=Keep(macs=0.5))}, False, True),
        ({"search": SearchSettings(ratio=0.5)}, False, True),
        ({"search": SearchSettings(ratio=0)}, True, False),
        ({"search": SearchSettings(structure=Structure())}, True, False),
        ({"search": SearchSettings(structure=Structure(zeros=0.5))}, False, True),
        ({"search": SearchSettings(ratio=0.5), "steps": (Step(do="distil"),)}, True, False),
        ({"student": "resnet8"}, True, False),
    ],
)
def test_only_what_may_be_pruned_is_tried(changed, has_device, expected):
    assert prunes(recipe(**changed), has_device=has_device) is expected
