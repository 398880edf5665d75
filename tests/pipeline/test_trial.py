import dataclasses
import sys

import numpy as np
import pytest
import torch
from torch import nn

from edgekd.data.dataset import Augmentation
from edgekd.data.load import load_dataset
from edgekd.data.memory_images import dataset_in_memory
from edgekd.data.renormalised import normalised
from edgekd.errors import EdgekdError
from edgekd.pipeline import trial
from edgekd.pipeline.teacher import TeacherImages, teacher
from edgekd.pipeline.trial import chance, require_normalisation, try_normalisations
from edgekd.progress import Progress, Silent
from edgekd.run import Run
from edgekd.store import Store
from edgekd.values import Recipe
from edgekd.values.result import NormalisationTrial, TriedNormalisation
from edgekd.zoo.weights import save_weights

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
BYTES = (0.0,) * 3, (1 / 255,) * 3
WORDS = {"imagenet": IMAGENET, "0.5": HALF, "0-255": BYTES, "0-1": ((0.0,) * 3, (1.0,) * 3)}

NETS = """
from torch import nn
def make(classes, channels):
    body = nn.Conv2d(channels, 48, 3, stride=2), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten()
    return nn.Sequential(*body, nn.Linear(%d, classes))
"""


@pytest.fixture(scope="module")
def photos():
    """Digits as pale photographs: red holds the digit, blue its mirror image, and all of it little contrast."""
    digits = load_dataset("digits")

    def pale(images):
        grey = images.pixels[:, 0].astype(np.float32) / 255
        return np.stack([110 + 60 * grey, 115 + 0 * grey, 120 + 50 * grey[..., ::-1]], 1).astype(np.uint8)

    splits = {name: (pale(getattr(digits, name)), getattr(digits, name).labels) for name in ("train", "val", "test")}
    return dataset_in_memory("photos", digits.classes, splits, Augmentation(pad=0, flip=False))


def trained(data, mean, std, swapped=False):
    """A network that learned training images which were normalised so: random features with a threshold where these
    images vary, and a last layer fitted to them in closed form (ridge regression).
    """
    images, labels = next(normalised(data, mean, std).train.batches(10_000))
    images = images.flip(1) if swapped else images
    generator = torch.Generator().manual_seed(0)
    convolution = nn.Conv2d(3, 48, 3, stride=2)
    weight = torch.randn(convolution.weight.shape, generator=generator)
    convolution.weight.data = weight - weight.mean((2, 3), keepdim=True) / 2
    convolution.bias.data.zero_()
    found = convolution(images).detach()
    spread = found.std((0, 2, 3))
    convolution.bias.data = spread * torch.randn(48, generator=generator) / 2 - found.mean((0, 2, 3))
    body = nn.Sequential(convolution, nn.ReLU(), nn.AvgPool2d(2), nn.Flatten())
    seen = body(images).detach().double()
    seen = torch.cat([seen / seen.std(), torch.ones(len(seen), 1)], 1)
    answers = nn.functional.one_hot(labels, len(data.classes)).double()
    solved = seen.T @ torch.linalg.solve(seen @ seen.T + 10 * torch.eye(len(seen)), answers)
    last = nn.Linear(len(solved) - 1, len(data.classes))
    last.weight.data = (10 * solved[:-1].T / body(images).std().item()).float()
    last.bias.data = (10 * solved[-1]).float()
    return nn.Sequential(*body, last).eval()


@pytest.mark.parametrize("word", ["imagenet", "0.5", "0-1", "0-255"])
def test_weights_that_were_trained_otherwise_are_found_out(photos, word):
    found = try_normalisations(photos, trained(photos, *WORDS[word]))
    with pytest.raises(EdgekdError) as caught:
        require_normalisation(found, "net", "photos")
    default, best = found.tried[0].top1, max(t.top1 for t in found.tried)
    assert best > default + 0.1
    assert f"{default:.1%}" in caught.value.message
    assert f"{best:.1%}" in caught.value.message
    asked = "std = [0.00392156862745098]" if word == "0-255" else f"--normalize {word}"
    assert asked in caught.value.hint.partition("To keep the default")[0]
    assert caught.value.hint.endswith("To keep the default: give --normalize data.")


def test_few_validation_images_are_helped_out_by_training_images(photos):
    few = dataclasses.replace(photos.val, pixels=photos.val.pixels[:12], labels=photos.val.labels[:12])
    poor = dataclasses.replace(photos, val=few)
    found = try_normalisations(poor, trained(photos, *IMAGENET))
    assert found.tried[0].images == 500
    with pytest.raises(EdgekdError, match="another normalisation"):
        require_normalisation(found, "net", "photos")


def test_fewer_images_than_decide_at_the_beginning_are_all_that_there_are(photos):
    """The network is never given none."""

    class Strict(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, images):
            assert len(images)
            return self.model(images)

    def first(images, count):
        return dataclasses.replace(images, pixels=images.pixels[:count], labels=images.labels[:count])

    few = dataclasses.replace(photos, val=first(photos.val, 50), train=first(photos.train, 30))
    found = try_normalisations(few, Strict(trained(photos, *BYTES)))
    assert len(found.tried) > 1
    assert {way.images for way in found.tried} == {80}


def test_images_in_the_order_of_their_classes_are_tried_as_mixed_ones_are(photos):
    """A folder's are: the first hundred are of one class, of which the wrong default may be sure."""
    order = np.argsort(photos.val.labels, kind="stable")[:400]
    sorted_ones = dataclasses.replace(photos.val, pixels=photos.val.pixels[order], labels=photos.val.labels[order])
    shown, labels = trial._some(dataclasses.replace(photos, val=sorted_ones))
    assert len(shown) == len(labels)
    assert len(set(labels[: trial._FIRST].tolist())) == 10


def test_what_names_the_remedy_makes_the_trial_pass(photos):
    model = trained(photos, *IMAGENET)
    right = normalised(photos, *IMAGENET)
    found = try_normalisations(right, model)
    require_normalisation(found, "net", "photos")
    assert "ImageNet" in found.tried[0].name
    assert found.tried[0].top1 > 0.9


def test_bgr_is_found_out_with_what_to_do(photos):
    model = trained(photos, *IMAGENET, swapped=True)
    with pytest.raises(EdgekdError, match="as BGR") as caught:
        require_normalisation(try_normalisations(photos, model), "net", "photos")
    assert "state['0.weight'] = state['0.weight'].flip(1)" in caught.value.hint
    assert "--normalize imagenet" in caught.value.hint
    model[0].weight.data = model[0].weight.data.flip(1)
    right = normalised(photos, *IMAGENET)
    require_normalisation(try_normalisations(right, model), "net", "photos")


def test_weights_that_are_fed_rightly_continue_after_one_pass(photos):
    seen = []
    model = trained(photos, photos.mean, photos.std)
    model.register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    found = try_normalisations(photos, model)
    require_normalisation(found, "net", "photos")
    assert found.tried[0].top1 > 0.9
    assert sum(seen) <= len(photos.val) + 100 * 7


def tried(gained, lost):
    one = TriedNormalisation(name="data", option="x.", correct=400, images=500, gained=0, lost=0)
    other = one.model_copy(update={"name": "other", "correct": 400 + gained - lost, "gained": gained, "lost": lost})
    return NormalisationTrial(tried=(one, other))


@pytest.mark.parametrize(("gained", "lost", "stops"), [(9, 0, False), (10, 0, True), (30, 13, False), (30, 8, True)])
def test_only_what_is_clearly_better_stops_a_run(gained, lost, stops):
    """McNemar's exact test at one in a thousand: 1/2^9 isn't, 1/2^10 is; 13 of 43 isn't, 8 of 38 is."""
    assert (chance(gained, lost) < 0.001) == stops
    if stops:
        with pytest.raises(EdgekdError, match="other"):
            require_normalisation(tried(gained, lost), "net", "photos")
    else:
        require_normalisation(tried(gained, lost), "net", "photos")


def test_noise_alone_stops_fewer_than_one_in_a_thousand():
    random = np.random.default_rng(0)
    gained = random.binomial(60, 0.5, 20_000)
    assert np.mean([chance(g, 60 - g) < 0.001 for g in gained]) < 0.001


def test_four_channels_are_tried_without_what_is_for_three(photos):
    splits = {name: (np.repeat(getattr(photos, name).pixels[:, :1], 4, 1), getattr(photos, name).labels)
              for name in ("train", "val", "test")}  # fmt: skip
    data = dataset_in_memory("four", photos.classes, splits, Augmentation(pad=0, flip=False))
    model = nn.Sequential(nn.Flatten(), nn.Linear(data.train.pixels[0].size, 10))
    found = try_normalisations(data, model)
    assert not any("ImageNet" in t.name or "BGR" in t.name for t in found.tried)


class Notes(Silent):
    def __init__(self):
        self.said = []

    def note(self, text):
        self.said.append(text)


@pytest.fixture
def given(photos, tmp_path, monkeypatch):
    """What is asked for with these weights, and the notes it gives."""

    def asked(model, *, stated=True):
        notes: Progress = Notes()
        save_weights(model, tmp_path / "w.safetensors")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "photo_nets", raising=False)
        (tmp_path / "photo_nets.py").write_text(NETS % model[-1].in_features)
        own = {"model": "photo_nets:make", "weights": str(tmp_path / "w.safetensors")}
        run = Run(store=Store(tmp_path / "run"), shared=Store(tmp_path / "cache"), progress=notes)
        recipe = Recipe(**own, data="photos", target="x86-cpu", budget="half-latency")
        return (run, recipe, recipe.teacher, TeacherImages(photos, normalisation_stated=stated)), notes

    return asked


def test_given_weights_are_tried_where_nothing_is_said(given, photos):
    unsaid, _ = given(trained(photos, *IMAGENET), stated=False)
    with pytest.raises(EdgekdError, match="another normalisation") as caught:
        teacher(*unsaid)
    assert "--normalize imagenet" in caught.value.hint
    assert not list(unsaid[0].store.root.glob("stages/teacher-*"))


def test_weights_that_are_fed_rightly_continue_with_their_trial_reported(given, photos):
    unsaid, notes = given(trained(photos, photos.mean, photos.std), stated=False)
    found = teacher(*unsaid)
    assert found.trial is not None
    first = found.trial.tried[0]
    assert first.images == 500
    assert first.top1 == pytest.approx(found.network.accuracy.top1, abs=0.02)
    assert not any("not clearly more" in note for note in notes.said)


def test_a_stated_normalisation_is_believed_but_doubts_are_reported(given, photos):
    said, notes = given(trained(photos, *WORDS["0-1"]))
    found = teacher(*said)
    assert found.trial is None
    assert len(found.doubts) == 1
    assert "training images, though" in found.doubts[0]
    assert any(found.doubts[0] in note for note in notes.said)


def test_a_teacher_that_is_fed_rightly_has_no_doubts(given, photos):
    said, _ = given(trained(photos, photos.mean, photos.std))
    assert teacher(*said).doubts == ()
