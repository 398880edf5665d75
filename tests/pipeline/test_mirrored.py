import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from edgekd.data.dataset import Augmentation
from edgekd.data.memory_images import dataset_in_memory
from edgekd.pipeline.mirrored import compared
from edgekd.zoo.weights import save_weights

NETS = """
import torch
from torch import nn

class Halves(nn.Module):
    '''Which half is brighter: of the left and the right, or of the upper and the lower.'''

    def __init__(self, size):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 1)
        self.halves = nn.AdaptiveAvgPool2d(size)
        self.last = nn.Linear(8, 2)

    def forward(self, x):
        return self.last(torch.flatten(self.halves(torch.relu(self.first(x))), 1))

def left_right(classes, channels): return Halves((1, 2))
def above_below(classes, channels): return Halves((2, 1))
"""


def knowing(net: nn.Module) -> nn.Module:
    """The network with weights that tell the brighter half."""
    with torch.no_grad():
        net.first.weight.fill_(1.0)
        net.first.bias.fill_(3.0)
        net.last.weight.copy_(torch.tensor([[1.0, 0.0] * 4, [0.0, 1.0] * 4]))
        net.last.bias.zero_()
    return net.eval()


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory):
    """A module of networks, and a folder for each of them whose two classes it tells apart."""
    folder = tmp_path_factory.mktemp("mirrored")
    (folder / "mirror_nets.py").write_text(NETS)
    rng = np.random.default_rng(0)
    for name, half in (("left_right", np.s_[:, :8]), ("above_below", np.s_[:8, :])):
        for label in (0, 1):
            (folder / name / f"class{label}").mkdir(parents=True)
            for i in range(600):
                image = rng.integers(0, 40, (16, 16))
                image[half] += 100 * (1 - label)
                image += 100 * label * (image < 100) * (np.indices(image.shape)[1 if name == "left_right" else 0] >= 8)
                Image.fromarray(image.astype(np.uint8)).save(folder / name / f"class{label}" / f"{i}.png")
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.mark.parametrize(("name", "flips"), [("left_right", False), ("above_below", True)])
def test_the_given_teacher_decides_whether_images_are_flipped(nets, compress, tmp_path, name, flips):
    module = __import__("mirror_nets")
    save_weights(knowing(getattr(module, name)(2, 1)), tmp_path / "w.safetensors")
    # the report says it where something was trained
    (tmp_path / "r.toml").write_text('steps = ["finetune"]\n[recover]\nepochs = 1\n')
    options = ["--data", f"folder:{nets / name}", "--recipe", tmp_path / "r.toml", "--json"]
    given = ["--model", f"mirror_nets:{name}", "--weights", tmp_path / "w.safetensors"]
    ended = compress(tmp_path / "run", *given, *options, target="jetson")
    assert ended.code == 3, ended.err
    document = ended.document
    found = document["mirrored"]
    assert (found["images"], found["correct"], found["mirrored"]) == (120, 120, 120 if flips else 0)
    assert document["recipe"]["data"]["flip"] is flips
    says = "training flips images" if flips else "training doesn't flip images"
    rate = "100.00%" if flips else "0.00%"
    told = f"{says}: the teacher gets {rate} of mirrored validation images, 100.00% of the originals right (120 images)"
    assert told in " ".join(ended.err.split())
    assert told[1:] in (tmp_path / "run" / "report.md").read_text()
    written = ["--recipe", tmp_path / "run" / "recipe.toml", "--json"]
    again = compress(tmp_path / "again", *given, *options[:2], *written, target="jetson")
    assert again.document["recipe"]["data"] == document["recipe"]["data"]
    assert again.document["mirrored"] is None


def test_a_factory_that_says_no_is_not_asked_again(nets, compress, tmp_path):
    (nets / "mirror_data.py").write_text(
        f"from edgekd.data.load import load_dataset\ndef load(): return load_dataset('folder:{nets / 'above_below'}')\n"
    )
    save_weights(knowing(__import__("mirror_nets").above_below(2, 1)), tmp_path / "w.safetensors")
    (tmp_path / "r.toml").write_text('steps = ["prune"]\n')
    given = ["--model", "mirror_nets:above_below", "--weights", tmp_path / "w.safetensors"]
    options = ["--data", "mirror_data:load", "--ratio", 0, "--recipe", tmp_path / "r.toml", "--json"]
    document = compress(tmp_path / "run", *given, *options, target="jetson").document
    assert (document["mirrored"], document["recipe"]["data"]["flip"]) == (None, False)


class Marked(nn.Module):
    """Says class 1 where the first pixel is white."""

    def forward(self, x):
        return torch.stack([1 - x[:, 0, 0, 0], x[:, 0, 0, 0]], 1)


@pytest.mark.parametrize(
    ("worse", "better", "as_well"),
    [(0, 0, True), (1, 0, True), (2, 0, False), (9, 5, False), (6, 4, True), (0, 9, True)],
)
def test_one_standard_error_of_the_pairs_is_allowed(worse, better, as_well):
    pixels = np.zeros((100, 1, 2, 2), np.uint8)
    labels = torch.zeros(100, dtype=torch.int64)
    pixels[:worse, 0, 0, 0], labels[:worse] = 255, 1  # right as they are, wrong mirrored
    pixels[50 : 50 + better, 0, 0, 0] = 255  # the other way round
    split = (pixels, labels)
    data = dataset_in_memory("a", ("a", "b"), dict.fromkeys(("train", "val", "test"), split), Augmentation(0, False))
    found = compared(Marked(), data.val)
    assert found.mirrored - found.correct == better - worse
    assert found.as_well is as_well
