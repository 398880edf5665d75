"""Photographs of mixed sizes and modes, and a network that was trained on them outside edgekd."""

import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import transforms

from edgekd.values.result import Result

CLASSES = ("it's", 'quo"te', "Äpfel", "日本 庭園")
NETS = """
from torch import nn
def make(classes, channels):
    first = nn.Conv2d(channels, 32, 5, stride=2, padding=2)
    return nn.Sequential(first, nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(512, classes))
"""
NORMAL = transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HOW = transforms.Compose([transforms.Resize(55), transforms.CenterCrop(48), transforms.ToTensor(), NORMAL])


def scene(random, label, mode):
    """Soft blobs with stripes whose direction is the class, in a size of its own."""
    width, height = random.integers(60, 110, 2)
    blobs = Image.fromarray(random.integers(100, 130, (4, 5, 3), np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    down, across = np.mgrid[:height, :width]
    angle = np.pi * label / len(CLASSES)
    stripes = 12 * np.sin((across * np.cos(angle) + down * np.sin(angle)) / 2.5 + random.uniform(0, 6))
    pixels = np.clip(np.asarray(blobs) + stripes[..., None], 0, 255).astype(np.uint8)
    image = Image.fromarray(pixels)
    if mode == "RGBA":
        image.putalpha(image.convert("L"))
    return image.convert(mode)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "photos"
    random = np.random.default_rng(0)
    for split, count in (("train", 40), ("val", 30), ("test", 6)):
        for label, name in enumerate(CLASSES):
            (folder / split / name).mkdir(parents=True)
            for i in range(count):
                mode, kind = (("RGB", "jpg"), ("RGB", "png"), ("L", "png"), ("RGBA", "png"))[i % 4 if i < 12 else 0]
                scene(random, label, mode).save(folder / split / name / f"{i}.{kind}")
    return folder


def read(path):
    with Image.open(path) as image:
        return HOW(image.convert("RGB"))


@pytest.fixture(scope="module")
def trained(photos, tmp_path_factory):
    """The folder with nets.py and w.pt: a network that was fitted to the training photos, normalised as ImageNet's."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "nets.py").write_text(NETS)
    names = {}
    exec(NETS, names)
    torch.manual_seed(0)
    model = names["make"](len(CLASSES), 3)
    files = [(path, CLASSES.index(path.parent.name)) for path in sorted((photos / "train").glob("*/*"))]
    images, labels = torch.stack([read(path) for path, _ in files]), torch.tensor([label for _, label in files])
    with torch.no_grad():
        model[0].weight -= model[0].weight.mean((2, 3), keepdim=True)
        model[0].bias.zero_()
        model[0].bias -= model[0](images).std((0, 2, 3))
        seen = torch.cat([model[:4](images), torch.ones(len(images), 1)], 1).double()
        answers = nn.functional.one_hot(labels).double() * 10
        solved = torch.linalg.lstsq(
            seen.T @ seen + 1e-3 * seen.square().mean() * torch.eye(513), seen.T @ answers
        ).solution
        model[4].weight.copy_(solved[:-1].T)
        model[4].bias.copy_(solved[-1])
    torch.save(model.state_dict(), folder / "w.pt")
    return folder, model.eval()


@pytest.fixture
def run(compress, photos, trained, tmp_path, monkeypatch):
    """Runs edgekd on all of it, unpruned and without a device."""
    folder, _ = trained
    monkeypatch.chdir(folder)
    monkeypatch.delitem(sys.modules, "nets", raising=False)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('model = "nets:make"\nsteps = ["prune"]\n[data]\nsize = 48\nresize = 55\n')

    def start(*options):
        given = ["--model", "nets:make", "--weights", folder / "w.pt", "--data", f"folder:{photos}", "--ratio", 0]
        return compress(tmp_path / "run", *given, "--recipe", recipe, *options, target="jetson")

    return start


@pytest.mark.parametrize("options", [[], ["--include-preprocessing"]], ids=["caller", "graph"])
def test_the_artifacts_own_lines_classify_photos_as_the_original_did(run, trained, photos, options):
    ended = run("--normalize", "imagenet", "--json", *options)
    assert ended.code == 3, ended.err
    result = Result.model_validate(ended.document)
    assert result.teacher.accuracy.top1 > 0.9
    report = (ended.folder / "report.md").read_text()
    assert not re.search(r"in training|training (flips|doesn't flip)|epochs were chosen", report), "nothing was trained"
    lines = re.search(r"```python\n(.*?)```", report, re.DOTALL)[1]
    for path in [next((photos / "test" / name).glob(f"{i}.*")) for i, name in enumerate(CLASSES)]:
        with torch.inference_mode():
            expected = trained[1](read(path)[None])[0]
        script = lines.replace('"photo.jpg"', repr(str(path))) + "\nprint(*logits)"
        done = [sys.executable, "-X", "utf8", "-c", script]
        said = subprocess.run(done, cwd=ended.folder, capture_output=True, text=True, encoding="utf-8", check=True)
        name, numbers = said.stdout.splitlines()
        assert name == CLASSES[expected.argmax()]
        np.testing.assert_allclose([float(number) for number in numbers.split()], expected, atol=2e-3)


def test_without_a_word_it_stops_before_any_work_and_names_the_option(run):
    ended = run()
    assert ended.code == 2
    assert re.search(r"[0-9] images of .* classify [\d.]+% correctly .* and [\d.]+% with ImageNet's", ended.err)
    assert "hint: Give --normalize imagenet." in ended.err
    assert not list(ended.folder.glob("stages/teacher-*"))
