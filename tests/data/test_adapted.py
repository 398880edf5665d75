import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from edgekd.data.adapted import adapted
from edgekd.data.chosen import settled
from edgekd.data.dataset import Augmentation, Dataset, View
from edgekd.data.folder_images import FolderImages
from edgekd.data.load import load_dataset
from edgekd.data.memory_images import dataset_in_memory
from edgekd.data.renormalised import Renormalised
from edgekd.errors import EdgekdError
from edgekd.store import key_of
from edgekd.values import Data, Jitter, Preprocessing


def stated(**values: Any) -> Data:
    return Data(source="a", **values)


def in_memory(channels: int = 3) -> Dataset:
    pixels = np.random.default_rng(0).integers(256, size=(12, channels, 20, 30), dtype=np.uint8)
    split = (pixels, torch.arange(12) % 3)
    names = ("train", "val", "test")
    return dataset_in_memory("a", ("x", "y", "z"), dict.fromkeys(names, split), Augmentation(pad=2, flip=True))


def of_own_kind() -> Dataset:
    data, one = in_memory(), torch.ones(3, 1, 1)
    return replace(data, **{s: Renormalised(getattr(data, s), one, 0 * one) for s in ("train", "val", "test")})


def test_nothing_stated_changes_nothing() -> None:
    for data in (in_memory(), of_own_kind()):
        same = adapted(data, stated())
        assert (same.fingerprint, same.train) == (data.fingerprint, data.train)


def test_images_in_memory_are_resized_and_recoloured() -> None:
    data = adapted(in_memory(), stated(size=[40, 60], colour="grey", interpolation="lanczos"))
    assert data.train.shape == (1, 40, 60)
    assert len(data.mean) == len(data.preprocessing.std) == 1
    seen, _ = next(data.test.batches(12))
    assert (float(seen.mean()), float(seen.std())) == (pytest.approx(0, abs=1e-3), pytest.approx(1, abs=1e-3))
    first = Image.fromarray(in_memory().test.pixels[0].transpose(1, 2, 0))  # type: ignore[attr-defined]
    expected = np.array(first.convert("L").resize((60, 40), Image.Resampling.LANCZOS))
    assert np.array_equal(data.test.pixels[0, 0], expected)  # type: ignore[attr-defined]


def test_the_centre_is_cut_out_of_images_in_memory() -> None:
    data = adapted(in_memory(), stated(size=16, resize=20))
    first = in_memory().test.pixels[0]  # type: ignore[attr-defined]
    assert np.array_equal(data.test.pixels[0], first[:, 2:18, 7:23])  # type: ignore[attr-defined]


@pytest.mark.parametrize("wanted", [{"colour": "grey"}, {"interpolation": "nearest"}])
def test_what_is_not_stated_stays_however_large_images_are(wanted: dict[str, Any]) -> None:
    split = (np.zeros((4, 3, 300, 400), np.uint8), torch.arange(4) % 2)
    names = ("train", "val", "test")
    large = dataset_in_memory("a", ("x", "y"), dict.fromkeys(names, split), Augmentation(pad=0, flip=False))
    assert adapted(large, stated(**wanted)).train.shape[1:] == (300, 400)


def test_how_files_are_prepared_stays_but_for_what_is_stated() -> None:
    how = Preprocessing(height=16, width=16, resize=17, crop="center", colour="rgb", mean=(0.5,) * 3, std=(0.5,) * 3)
    files = FolderImages((), torch.zeros(0), how)
    data = Dataset("a", ("x", "y"), files, files, files, Augmentation(pad=0, flip=False), how.mean, how.std, "")
    assert adapted(data, stated(interpolation="bicubic")).preprocessing == how.model_copy(
        update={"interpolation": "bicubic"}
    )


def test_augmentation_is_as_stated_and_else_as_it_was() -> None:
    assert adapted(in_memory(), stated(flip=False)).augmentation == Augmentation(pad=2, flip=False)
    jitter = {"brightness": 0.2}
    made = adapted(in_memory(), stated(random_resized_crop=[0.5, 1.0], rotate=3.0, jitter=jitter, mixup=0.2))
    expected = Augmentation(pad=0, flip=True, crop=(0.5, 1.0), rotate=3.0, jitter=Jitter(brightness=0.2), mixup=0.2)
    assert made.augmentation == expected
    images, _ = next(made.train.batches(4, View(made.augmentation, seed=0, epoch=1)))
    assert images.shape == (4, 3, 20, 30)


@pytest.mark.parametrize(
    "wanted",
    [
        {"flip": False},
        {"pad": 3},
        {"mixup": 0.1},
        {"rotate": 1.0},
        {"random_resized_crop": [0.5, 1.0]},
        {"jitter": {"hue": 0.1}},
        {"size": 8},
        {"colour": "grey"},
        {"mean": "imagenet"},
        {"std": [0.3]},
    ],
)
def test_every_setting_makes_other_data_and_the_settled_section_the_same_again(wanted: dict[str, Any]) -> None:
    data = adapted(in_memory(), stated(**wanted))
    assert data.fingerprint != in_memory().fingerprint
    again = adapted(in_memory(), settled(stated(**wanted), data))
    assert again.fingerprint == data.fingerprint


def test_classes_are_named_by_texts_whatever_they_were_given_as() -> None:
    for given in (tuple(np.unique(np.arange(12) % 3)), range(3), ["0", "1", "2"]):
        data = replace(in_memory(), classes=given)  # type: ignore[arg-type]
        assert data.classes == ("0", "1", "2")
        assert key_of(data)
        json.dumps(key_of(data))


def test_the_settled_section_names_a_folder_wherever_it_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/alice")
    for source, kept in (
        ("folder:photos", f"folder:{tmp_path}/photos"),
        ("folder:../a:b", f"folder:{tmp_path.parent}/a:b"),
        ("folder:~/photos", "folder:/home/alice/photos"),
        ("parts:load", "parts:load"),
        ("digits", "digits"),
    ):
        assert settled(Data(source=source), in_memory()).source == kept


def test_images_of_the_users_own_kind_are_normalised_and_flipped_but_not_reshaped() -> None:
    data = adapted(of_own_kind(), stated(mean="0-1", std="0-1", flip=False))
    seen, _ = next(data.test.batches(12))
    expected = in_memory().test.pixels / 255  # type: ignore[attr-defined]
    assert np.allclose(seen.numpy(), expected, atol=1e-5)
    again = adapted(of_own_kind(), settled(stated(), data))
    assert again.fingerprint == data.fingerprint
    measured = adapted(data, stated(mean="data", std="data"))
    assert measured.mean == pytest.approx(in_memory().mean, abs=1e-6)
    assert measured.std == pytest.approx(in_memory().std, abs=1e-6)
    with pytest.raises(EdgekdError, match=r"\[data\] size can't change them") as caught:
        adapted(of_own_kind(), stated(size=8))
    assert caught.value.hint


def test_a_factorys_section_is_obeyed_and_its_fingerprint_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "adapted_data.py").write_text(
        "from dataclasses import replace\n"
        "from edgekd.data.load import load_dataset\n"
        "def load():\n"
        "    data = load_dataset('digits')\n"
        "    pixels = data.test.pixels.copy()\n"
        "    pixels[5, 0, 3, 3] ^= int(open('bit').read())\n"
        "    return replace(data, test=replace(data.test, pixels=pixels), fingerprint='mine')\n"
    )
    monkeypatch.chdir(tmp_path)
    found = []
    for bit in ("0", "0", "1"):
        (tmp_path / "bit").write_text(bit)
        found.append(load_dataset(Data(source="adapted_data:load", size=8)))
    assert found[0].train.shape == (1, 8, 8)
    assert found[0].fingerprint == found[1].fingerprint != found[2].fingerprint


@pytest.mark.parametrize(("mean", "std"), [((), ()), ((0.5,), (0.0,)), ((0.1, 0.2), (1.0, 1.0))])
def test_a_data_set_may_state_its_normalisation_in_its_own_way(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    data = replace(of_own_kind(), mean=mean, std=std)
    same = adapted(data, stated())
    assert (same.mean, same.std, same.train) == (mean, std, data.train)
    whole = settled(stated(), same)
    assert (whole.mean, whole.std) == (None, None)
    assert adapted(data, whole).fingerprint == same.fingerprint
