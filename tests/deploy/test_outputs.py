"""Files are run through their runtime, and what that raises is the file's fault; images are handed over once."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from edgekd.data.fixed_images import labelled
from edgekd.data.load import load_dataset
from edgekd.data.memory_images import MemoryImages
from edgekd.deploy import outputs
from edgekd.deploy.feeding import fed
from edgekd.deploy.outputs import NO_CLASS, Runner, answers, counted, without_class
from edgekd.errors import UnsupportedModelError
from edgekd.measuring.artifact import describe
from edgekd.values import Accuracy, Feeding, Preprocessing


def test_a_file_that_fails_as_it_runs_is_unsupported(tmp_path: Path, runner_of: Callable[..., Runner]) -> None:
    """An index out of range, which no check of the graph can see."""
    nodes = [
        helper.make_node("Cast", ["input"], ["at"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "at"], ["logits"]),
    ]
    table = helper.make_tensor("table", TensorProto.FLOAT, [4], [0.0] * 4)
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in ("input", "logits")]
    graph = helper.make_graph(nodes, "graph", ports[:1], ports[1:], [table])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "model.onnx")
    runner = runner_of(tmp_path / "model.onnx", "onnxruntime")
    assert runner(np.zeros((3, 2), np.float32)).shape == (3, 2)
    with pytest.raises(UnsupportedModelError, match=r"model\.onnx: onnxruntime can't run it.*out of bounds|indices"):
        runner(np.full((1, 2), 9, np.float32))


HALF = (0.5, 0.5, 0.5)


@pytest.fixture
def photos() -> MemoryImages:
    pixels = np.random.default_rng(0).integers(0, 256, (320, 3, 64, 64), dtype=np.uint8)
    return MemoryImages(pixels, torch.arange(320), HALF, HALF)


def peak(work: Callable[[], object]) -> int:
    """The most bytes that numpy held meanwhile."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_sample_images_are_in_memory_once(photos: MemoryImages) -> None:
    """Of 500 photos each further copy takes 0.3 GB."""
    values = 4 * photos.pixels.nbytes
    assert peak(lambda: labelled(photos, 320)) < 1.7 * values  # a batch of 64 is a fifth


def test_pixels_for_a_graph_are_made_part_by_part(photos: MemoryImages) -> None:
    feeding = Feeding(
        preprocessing=Preprocessing(height=64, width=64, colour="rgb", mean=HALF, std=HALF),
        normalised_by="graph",
        classes=("a",),
    )
    images, labels = labelled(photos, 320)
    assert (fed(images, feeding) == photos.pixels[labels].transpose(0, 2, 3, 1)).all()
    assert peak(lambda: fed(images, feeding)) < 1.5 * images.nbytes


def test_few_images_are_all_taken_and_of_many_so_many(photos: MemoryImages) -> None:
    images, labels = labelled(photos, 500)
    assert images.shape == (320, 3, 64, 64)
    assert sorted(labels.tolist()) == list(range(320))
    shown = next(iter(photos.batches(320)))[0].numpy()
    assert (images == shown[labels]).all()
    images, labels = labelled(photos, 100)
    assert len(images) == len(set(labels.tolist())) == 100
    assert (images == shown[labels]).all()


@pytest.mark.parametrize("count", [200, 320, 500])
def test_the_first_images_are_of_all_classes_however_many_there_are(photos: MemoryImages, count: int) -> None:
    """Folders are sorted by class, and some of what calibrates takes the first few alone."""
    _, labels = labelled(photos, count)
    of_classes = np.bincount(labels[:64] // 80, minlength=4)
    assert of_classes.min() >= 8
    assert (labelled(photos, count)[1] == labels).all()


@pytest.mark.parametrize(("sent", "parts"), [(48, [3, 3, 1]), (47, [2, 2, 2, 1]), (1, [1] * 7), (1000, [7])])
def test_images_go_to_the_device_in_parts(simulated, model: Callable[..., Path], monkeypatch, sent, parts) -> None:
    monkeypatch.setattr(outputs, "_SENT_BYTES", sent)
    images = np.arange(7 * 4, dtype=np.float32).reshape(7, 1, 2, 2)
    found = []

    def gives(batch):
        found.append(len(batch))
        return batch.reshape(len(batch), -1)

    runner = Runner(simulated(outputs=lambda path: gives), describe(model(), name="n", runtime="onnxruntime"))
    assert (runner(images) == images.reshape(7, 4)).all()
    assert found == parts


def test_accuracy_is_counted_over_what_the_device_gives(simulated, model: Callable[..., Path]) -> None:
    data = load_dataset("digits")

    def gives(batch):
        """A class that depends on the image alone."""
        brightest = batch.reshape(len(batch), -1).argmax(1)
        return np.eye(10, dtype=np.float32)[brightest % 10]

    device = simulated(outputs=lambda path: gives)
    artifact = describe(model(), name="n", runtime="onnxruntime")
    found = counted(answers(Runner(device, artifact), data.val), data, "val")
    images, labels = labelled(data.val, len(data.val))
    right = gives(images).argmax(1) == labels
    assert (found.correct, found.images) == (int(right.sum()), len(labels))
    assert 0 < found.correct < found.images


def test_an_image_whose_outputs_are_not_finite_has_no_class(simulated, model: Callable[..., Path]) -> None:
    """The highest of NaN and others is NaN's."""
    data = load_dataset("digits")

    def gives(batch):
        given = np.eye(10, dtype=np.float32)[np.zeros(len(batch), int)]
        given[batch.reshape(len(batch), -1).sum(1) > 0, 3] = np.inf
        return given

    device = simulated(outputs=lambda path: gives)
    found = answers(Runner(device, describe(model(), name="n", runtime="onnxruntime")), data.val)
    images = next(iter(data.val.batches(len(data.val))))[0].numpy()
    bright = images.reshape(len(images), -1).sum(1) > 0
    assert (found[0] == np.where(bright, NO_CLASS, 0)).all()
    assert without_class(found) == f"gives NaN or infinity for {bright.sum()} of {len(images)} images"
    assert without_class((np.zeros(3, int), np.zeros(3, int))) == ""
    assert 0 < bright.sum() < len(images)


def test_labels_stay_with_their_images_where_the_device_reads_ahead(model: Callable[..., Path]) -> None:
    """Each image's class is in its pixels, and the batches' beginnings differ."""
    labels = torch.arange(320) % 10
    pixels = labels.to(torch.uint8).numpy()[:, None, None, None] * np.ones((1, 3, 64, 64), np.uint8)

    class ReadingAhead:
        def evaluate(self, artifact, batches, output=0):
            for batch in [*batches]:
                yield np.eye(10, dtype=np.float32)[np.rint((batch[:, 0, 0, 0] * 0.5 + 0.5) * 255).astype(int)]

    runner = Runner(ReadingAhead(), describe(model(), name="n", runtime="onnxruntime"))
    data = SimpleNamespace(name="made", val=MemoryImages(pixels, labels, HALF, HALF))
    assert counted(answers(runner, data.val), data, "val") == Accuracy(
        correct=320, images=320, dataset="made", split="val"
    )
