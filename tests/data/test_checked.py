import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgekd.data.adapted import adapted
from edgekd.data.checked import require_views
from edgekd.data.dataset import Augmentation, Dataset
from edgekd.data.folder_images import FolderImages
from edgekd.data.load import load_dataset
from edgekd.data.memory_images import dataset_in_memory
from edgekd.data.samples import sampled
from edgekd.errors import EdgekdError
from edgekd.values import Data, Preprocessing


def data() -> Dataset:
    pixels = np.random.default_rng(0).integers(256, size=(6, 3, 8, 8), dtype=np.uint8)
    splits = dict.fromkeys(("train", "val", "test"), (pixels, torch.arange(6) % 2))
    return dataset_in_memory("own", ("x", "y"), splits, Augmentation(pad=1, flip=False))


def changed(**values: Any) -> Dataset:
    """With validation images that differ in these values."""
    made = data()
    return replace(made, val=replace(made.val, **values))  # type: ignore[type-var]


NONE = np.zeros((0, 3, 8, 8), np.uint8)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"pixels": NONE, "labels": torch.zeros(0, dtype=torch.int64)}, "its val images are missing"),
        ({"labels": torch.tensor([0, 1, 2, 0, 1, 0])}, "have labels from 0 to 2"),
        ({"labels": torch.tensor([0, 1, -1, 0, 1, 0])}, "have labels from -1 to 1"),
        ({"labels": [0, 1] * 3}, "have labels of another kind: list"),
        ({"labels": torch.zeros(6)}, r"another kind: a tensor torch.float32 \(6,\)"),
        ({"pixels": np.zeros((6, 3, 8, 9), np.uint8)}, r"are of shape \(3, 8, 9\), those of training \(3, 8, 8\)"),
        ({"pixels": np.zeros((6, 3, 8, 8), np.float32)}, "hold float32"),
        ({"pixels": torch.zeros(6, 3, 8, 8, dtype=torch.uint8)}, r"hold torch\.uint8"),
        ({"mean": (0.5,) * 3}, r"are normalised by \(0.5, 0.5, 0.5\)"),
        ({"labels": torch.zeros(5, dtype=torch.int64)}, "are 6, with 5 labels"),
        ({"pixels": None}, "AttributeError|TypeError"),
    ],
)
def test_what_a_data_set_may_not_be_is_said_at_once(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(EdgekdError, match=says) as caught:
        sampled(changed(**wrong))
    assert "data set own: its" in caught.value.message
    assert caught.value.hint
    assert "hold" not in says or "numpy array" in caught.value.hint


def test_images_in_files_say_how_they_are_prepared(tmp_path: Path) -> None:
    how = Preprocessing(height=8, width=8, resize=9, crop="center", colour="rgb", mean=(0.5,) * 3, std=(0.5,) * 3)
    files = FolderImages((tmp_path / "a.png",), torch.tensor([0]), how)
    made = replace(data(), train=files, val=files, test=files, mean=how.mean, std=how.std, preprocessing=None)
    assert made.preprocessing == how
    (tmp_path / "a.png").write_bytes(b"an image")
    sampled(made)
    with pytest.raises(EdgekdError, match=r"train images are prepared as .*resize=9.* says as .*resize=10"):
        sampled(replace(made, preprocessing=how.model_copy(update={"resize": 10})))


def test_a_factory_that_ends_the_process_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "leaving_data.py").write_text("import sys\ndef load():\n    sys.exit('no table of mine')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    with pytest.raises(EdgekdError, match="the factory failed: SystemExit: no table of mine"):
        load_dataset("leaving_data:load")


@pytest.mark.parametrize(
    ("wanted", "says"), [({"pad": 17}, "a border of 17 pixels around images of 16x16"), ({"pad": 10**9}, "a border of")]
)
def test_a_border_that_leaves_no_image_is_refused(wanted: dict[str, Any], says: str) -> None:
    with pytest.raises(EdgekdError, match=says) as caught:
        load_dataset(Data(source="digits", **wanted))
    assert "pad" in caught.value.hint
    assert load_dataset(Data(source="digits", pad=16)).augmentation.pad == 16


@pytest.mark.parametrize("wanted", [{"rotate": 5.0}, {"random_resized_crop": (0.5, 1.0)}, {"jitter": {"hue": 0.1}}])
def test_channels_that_pillow_has_not_are_varied_by_flips_and_borders_alone(wanted: dict[str, Any]) -> None:
    split = (np.zeros((4, 2, 8, 8), np.uint8), torch.arange(4) % 2)
    names = ("train", "val", "test")
    odd = dataset_in_memory("odd", ("x", "y"), dict.fromkeys(names, split), Augmentation(pad=1, flip=True))
    require_views(odd)
    with pytest.raises(EdgekdError, match="not 2 channels"):
        require_views(adapted(odd, Data(source="odd", **wanted)))
