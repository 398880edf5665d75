from contextlib import nullcontext

import pytest

from edgekd.errors import EdgekdError
from edgekd.measuring.batch import require_batch, require_same_batch
from edgekd.values import MeasuringProtocol


@pytest.mark.parametrize("batch", [1, 4])
def test_another_batch_size_than_a_fixed_one_is_refused(model, batch):
    path = model(batch=2)
    with pytest.raises(EdgekdError, match=f"--batch {batch}: .*model.onnx is for batch size 2") as e:
        require_batch([model("open"), path], MeasuringProtocol(batch=batch))
    assert "Leave --batch out" in e.value.hint
    require_batch([path], MeasuringProtocol(batch=2))
    require_batch([path], MeasuringProtocol())


@pytest.mark.parametrize("name", ["", "image"])
def test_a_batch_size_that_contradicts_a_shape_is_refused(model, name):
    with pytest.raises(EdgekdError, match=r"--batch 4: .* is for batch size 2"):
        require_batch([model()], MeasuringProtocol(batch=4, shapes={name: (2, 3, 8, 8)}))


def test_models_of_different_fixed_batch_sizes_are_not_compared(model):
    one, eight = model("one", batch=1), model("eight", batch=8)
    with pytest.raises(EdgekdError, match=r"one.onnx is for batch size 1, and .*eight.onnx for 8") as e:
        require_same_batch(one, eight, MeasuringProtocol())
    assert "Export both" in e.value.hint
    require_same_batch(one, model("open"), MeasuringProtocol())
    require_same_batch(model("open"), eight, MeasuringProtocol(batch=8))


def test_an_axis_that_a_converter_wrote_as_less_than_one_is_open(model):
    path = model(batch=-1)
    require_batch([path], MeasuringProtocol(batch=4))
    require_same_batch(path, model("eight", batch=8), MeasuringProtocol(batch=8))


@pytest.mark.parametrize(("batch", "fits"), [(1, True), (2, False)])
def test_a_file_of_ncnn_is_for_one_image(tmp_path, batch, fits):
    (tmp_path / "model.param").write_text("7767517\n")
    with nullcontext() if fits else pytest.raises(EdgekdError, match="is for batch size 1"):
        require_batch([tmp_path / "model.param"], MeasuringProtocol(batch=batch))
