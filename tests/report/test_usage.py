import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from edgekd.data.folder_images import FolderImages
from edgekd.deploy.export import export_onnx
from edgekd.deploy.feeding import manifest, stamp
from edgekd.deploy.normalising import graph
from edgekd.measuring.artifact import describe
from edgekd.report import usage
from edgekd.values import Feeding, Lineage, Manifest, Port, Preprocessing

CLASSES = ("naïve café", "日本", "\"'\\", "two\nlines")
HOWS = [
    Preprocessing(height=24, width=24, resize=28, crop="center", interpolation="bicubic", colour="rgb",
                  mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    Preprocessing(height=24, width=33, colour="rgb", mean=(0.5,) * 3, std=(0.5,) * 3),
    Preprocessing(height=21, width=24, resize=29, crop="center", interpolation="lanczos", colour="grey",
                  mean=(0.1307,), std=(0.3081,)),
]  # fmt: skip


def photo(path, width, height, seed, **how):
    """A photograph's likeness: soft shapes in colour, saved as JPEG."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (5, 7, 3), np.uint8)
    Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(path, quality=90, **how)


@pytest.fixture(params=[f"{i}-{by}" for i in range(len(HOWS)) for by in ("caller", "graph")])
def exported(request, tmp_path):
    """An ONNX file with its manifest, and its network."""
    index, by = request.param.split("-")
    how = HOWS[int(index)]
    torch.manual_seed(1)
    channels = len(how.mean)
    network = nn.Sequential(nn.Conv2d(channels, 8, 3, 2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(len(CLASSES))).eval()
    example = torch.zeros(1, channels, how.height, how.width)
    network(example)
    network[-1].bias.data -= network(torch.rand_like(example))[0]  # so that photos are of several classes
    feeding = Feeding(preprocessing=how, normalised_by=by, classes=CLASSES)
    whole, given = graph(network, example, feeding)
    export_onnx(whole, given, tmp_path / "model.onnx")
    stamp(tmp_path / "model.onnx", feeding, Lineage())
    artifact = describe(tmp_path / "model.onnx", name="model", runtime="onnxruntime")
    return network, manifest(artifact, tmp_path / "model.onnx", feeding)


def answers(network, how, path):
    """The network's logits for a photo, prepared as edgekd prepares validation images."""
    ((image, _),) = FolderImages((path,), torch.tensor([0]), how).batches(1)
    with torch.inference_mode():
        return network(image)[0].numpy()


def test_the_lines_of_the_report_classify_photos_as_the_network_does(exported, tmp_path):
    network, found = exported
    script = f"{usage.lines(found)}\nprint(logits.tolist())"
    turned = Image.Exif()
    turned[0x0112] = 6
    for seed, (width, height) in enumerate([(61, 40), (40, 67), (30, 30), (24, 90), (35, 28), (29, 40)]):
        photo(tmp_path / "photo.jpg", width, height, seed, exif=turned if seed == 0 else Image.Exif())
        expected = answers(network, found.preprocessing, tmp_path / "photo.jpg")
        ran = subprocess.run(
            [sys.executable, "-X", "utf8", "-c", script], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        *named, logits = ran.stdout.removesuffix("\n").split("\n")
        assert "\n".join(named) == CLASSES[expected.argmax()]
        np.testing.assert_allclose(eval(logits), expected, atol=2e-5)


def test_no_line_is_too_long_to_read(exported):
    _, found = exported
    assert max(map(len, usage.lines(found).splitlines())) <= 140
    assert len([line for line in usage.lines(found).splitlines() if line and "import" not in line]) <= 8


def test_the_readme_shows_the_lines_for_photos():
    how = HOWS[0].model_copy(update={"height": 224, "width": 224, "resize": 256, "interpolation": "bilinear"})
    given, made = (Port(name=name, dtype="float32", shape=(1,), layout="") for name in ("input", "logits"))
    ports = {"input": given, "output": made, "file": "model.onnx", "sha256": "", "precision": "fp32"}
    found = Manifest(preprocessing=how, classes=CLASSES, runtime="onnxruntime", **ports)
    assert f"```python\n{usage.lines(found)}\n```" in (Path(__file__).parents[2] / "README.md").read_text()


def test_the_size_and_the_normalisation_are_said_in_words():
    crop, squeeze, _ = HOWS
    assert "short side is resized to 28 pixels, bicubic" in usage.size(crop)
    assert "24×33 pixels (height × width)" in usage.size(squeeze)
