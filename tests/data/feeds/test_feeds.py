"""Images as a given file takes them; nothing that decides their values is guessed."""

import numpy as np
import pytest
from PIL import Image

from edgekd.data.feeds.arrays import array_feeds
from edgekd.data.feeds.feeds import halves
from edgekd.data.feeds.photos import photo_feeds
from edgekd.data.feeds.stated import as_stated
from edgekd.errors import EdgekdError, StorageError
from edgekd.values import Data, Preprocessing
from edgekd.values.given import Takes

TAKES = Takes(name="x", dtype="float32", shape=(1, 3, 8, 8))
IMAGES = np.random.default_rng(0).standard_normal((6, 3, 8, 8)).astype(np.float32)


@pytest.fixture
def saved(tmp_path):
    def save(**arrays):
        path = tmp_path / "images.npz"
        np.savez(path, **arrays)
        return path

    return save


def test_half_of_the_images_calibrate_and_each_is_in_one_half(saved):
    found = array_feeds(saved(images=IMAGES, labels=np.arange(6)), TAKES)
    both = np.concatenate([found.calibration(), found.held_out()])
    assert len(found.calibration) == len(found.held_out) == 3
    labels = np.concatenate([found.calibration.labels, found.held_out.labels])
    np.testing.assert_array_equal(both, IMAGES[labels])
    assert found.classes is None


def test_the_input_may_name_the_array_and_npy_has_no_labels(saved, tmp_path):
    assert len(array_feeds(saved(x=IMAGES), TAKES).held_out) == 3
    np.save(tmp_path / "images.npy", IMAGES)
    assert array_feeds(tmp_path / "images.npy", TAKES).held_out.labels is None


def test_one_image_alone_is_both_and_said(saved):
    found = array_feeds(saved(images=IMAGES[:1]), TAKES)
    assert len(found.calibration) == len(found.held_out) == 1
    assert "one image alone" in found.notes[0]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"photos": IMAGES}, "has photos; it should have 'images' (or 'x')"),
        ({"images": IMAGES, "x": IMAGES}, "has images, x"),
        ({"images": IMAGES, "more": IMAGES}, "has images, more"),
        ({"images": IMAGES[:0]}, "has no images"),
        ({"images": IMAGES[:, :, :4]}, "the model takes (N, 3, 8, 8)"),
        ({"images": IMAGES.astype(np.uint8)}, "has uint8 values, and the model takes float32"),
        ({"images": np.where(IMAGES > 2, np.nan, IMAGES)}, "NaN or infinite"),
        ({"images": IMAGES, "labels": np.arange(5)}, "labels of the shape (5,) for 6 images"),
        ({"images": IMAGES, "labels": np.ones(6)}, "aren't whole numbers"),
        ({"images": np.array([{}, {}], object)}, "can't be read as arrays"),
    ],
)
def test_arrays_that_do_not_fit_are_named(saved, arrays, said):
    with pytest.raises(EdgekdError) as raised:
        array_feeds(saved(**arrays), TAKES)
    assert said in raised.value.message
    assert raised.value.hint


def test_what_is_no_array_file_is_named(tmp_path):
    (tmp_path / "junk.npz").write_bytes(b"junk")
    for name in ("junk.npz", "missing.npz"):
        with pytest.raises(StorageError, match=name):
            array_feeds(tmp_path / name, TAKES)


def test_content_and_choice_decide_the_key(saved):
    first = array_feeds(saved(images=IMAGES), TAKES)
    assert first.calibration.key() != first.held_out.key()
    assert array_feeds(saved(images=IMAGES + 1), TAKES).calibration.key() != first.calibration.key()
    assert array_feeds(saved(images=IMAGES), TAKES).calibration.key() == first.calibration.key()


def test_halves_are_the_same_each_time_and_disjoint():
    first, second = halves(9)
    assert sorted([*first, *second]) == list(range(9))
    assert halves(9)[0].tolist() == first.tolist()


@pytest.fixture
def photos(tmp_path):
    def make(*names):
        random = np.random.default_rng(0)
        for name in names:
            path = tmp_path / "photos" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)
        return str(tmp_path / "photos")

    return make


STATED = Data(source="s", mean=(0.5,), std=(0.25,))


def test_photos_are_normalised_as_stated_and_the_way_is_said(photos):
    where = photos("a.png", "b.png", "c.png")
    found = photo_feeds(where, TAKES, as_stated(TAKES, STATED))
    images = np.concatenate([found.calibration(), found.held_out()])
    assert images.shape == (3, 3, 8, 8)
    assert images.dtype == np.float32
    pixels = (images * 0.25 + 0.5) * 255
    np.testing.assert_allclose(pixels, np.rint(pixels), atol=1e-3)
    assert found.held_out.labels is None
    told = " ".join(found.notes)
    assert "labels aren't known" in told
    assert "the centre of 8x8 is cut out" in told


def test_a_normalisation_of_what_is_no_photo_is_not_the_files_own():
    """As edgekd states it where a data set of one's own gave ready-made tensors: mean 0, deviation 1, no colour."""
    how = Preprocessing(height=8, width=8, colour=None, mean=(0.0,) * 3, std=(1.0,) * 3)
    of_tensors = TAKES.model_copy(update={"preprocessing": how})
    with pytest.raises(EdgekdError, match="isn't stated, and the file doesn't state it"):
        as_stated(of_tensors, Data(source="s"))
    assert as_stated(of_tensors, STATED) == as_stated(TAKES, STATED)


def test_classes_are_the_folders_and_given_splits_are_kept(photos):
    where = photos(*(f"{split}/{name}/{i}.png" for split in ("train", "val") for name in "ab" for i in range(2)))
    found = photo_feeds(where, TAKES, as_stated(TAKES, STATED))
    assert found.classes == ("a", "b")
    assert sorted(found.held_out.labels.tolist()) == [0, 0, 1, 1]
    alone = photo_feeds(f"{where}/val", TAKES, as_stated(TAKES, STATED))
    np.testing.assert_array_equal(
        np.sort(found.held_out().sum((1, 2, 3))),
        np.sort(np.concatenate([alone.calibration(), alone.held_out()]).sum((1, 2, 3))),
    )


def test_pixels_and_channels_last_are_fed_as_they_are_taken(photos):
    where = photos("a.png", "b.png")
    plain = photo_feeds(where, TAKES, as_stated(TAKES, STATED)).held_out()
    last = Takes(name="x", dtype="uint8", shape=(1, 8, 8, 3))
    pixels = photo_feeds(where, last, as_stated(last, Data(source="s"))).held_out()
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose((pixels / 255 - 0.5) / 0.25, plain.transpose(0, 2, 3, 1), atol=1e-5)


@pytest.mark.parametrize(("make", "said"), [((), "no such folder"), (("notes.txt.png/",), "no images in it")])
def test_folders_without_images_are_named(tmp_path, make, said):
    for name in make:
        (tmp_path / "photos" / name).mkdir(parents=True)
    with pytest.raises(EdgekdError, match=said):
        photo_feeds(str(tmp_path / "photos"), TAKES, as_stated(TAKES, STATED))


def test_a_photo_that_cannot_be_read_is_named(photos, tmp_path):
    where = photos("a.png")
    (tmp_path / "photos" / "b.png").write_bytes(b"junk")
    with pytest.raises(StorageError, match=r"b\.png"):
        photo_feeds(where, TAKES, as_stated(TAKES, STATED))


HOW = Preprocessing(height=8, width=8, resize=9, crop="center", colour="rgb", mean=(0.1,), std=(0.2,))
OWN = TAKES.model_copy(update={"preprocessing": HOW})
PIXELS = Takes(name="x", dtype="uint8", shape=(1, 8, 8, 3))


def test_what_the_file_states_is_taken():
    found = as_stated(OWN, Data(source="s"))
    assert (found.mean, found.std, found.resize, found.size) == ((0.1,) * 3, (0.2,) * 3, 9, (8, 8))


@pytest.mark.parametrize(
    ("takes", "data", "said", "hint"),
    [
        (TAKES, {}, "isn't stated", "--normalize imagenet"),
        (TAKES, {"mean": "data", "std": "data"}, "can't be measured on these images", "--normalize imagenet"),
        (TAKES, {"mean": 0.5}, "has no std", "both"),
        (TAKES, {"mean": 0.5, "std": 0.5, "colour": "grey"}, "takes 3 channels", "colour"),
        (OWN, {"mean": "imagenet", "std": "imagenet"}, "the file itself states how", "Leave --normalize out"),
        (OWN, {"resize": 20}, "the file itself states 9", "Leave resize out"),
        (
            Takes(name="x", dtype="uint8", shape=(1, 8, 8, 3)),
            {"mean": 0.5, "std": 0.5},
            "normalises them",
            "--normalize",
        ),
        (Takes(name="x", dtype="float32", shape=(1, 16)), {}, "1x16 is no grey or coloured image", ".npz"),
    ],
)
def test_what_is_not_stated_or_contradicts_is_refused(takes, data, said, hint):
    with pytest.raises(EdgekdError) as raised:
        as_stated(takes, Data(source="s", **data))
    assert said in raised.value.message
    assert hint in raised.value.hint
