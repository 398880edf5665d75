import pytest

from edgekd.devices.failing import reported
from edgekd.worker import WorkerError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"/home/pi/.cache/edgekd/files/{'0a' * 32}/in.npz: can't be read", "in.npz: can't be read"),
        (f"Load model from '/data/local/tmp/edgekd/files/{'f' * 64}/m.onnx' failed", "Load model from 'm.onnx' failed"),
        ("/home/me/files/m.onnx: can't be read", "/home/me/files/m.onnx: can't be read"),
    ],
)
def test_a_file_that_was_sent_is_called_by_its_own_name(text, shown):
    assert reported(WorkerError("error", text)) == shown
