import pytest

from edgekd.errors import EdgekdError
from edgekd.measuring.batch import require_batch
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
