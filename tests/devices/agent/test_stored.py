import zipfile

import fitting
import numpy as np
import pytest
import stored
import system

IMAGE = {"name": "image", "shape": ["N", 3, 8, 8], "dtype": "float32"}


@pytest.fixture
def unpacks_to_gigabytes(tmp_path):
    """Writes an .npz whose one array claims a shape, and holds megabytes of zeros."""

    def write(*shape):
        path = tmp_path / "large.npz"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("image.npy", "w") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            file.write(bytes(10**7))
        return path

    return write


def test_shapes_are_compared_before_anything_is_unpacked(unpacks_to_gigabytes):
    path = unpacks_to_gigabytes(1, 3, 40_000, 40_000)  # 19.2 GB
    with pytest.raises(
        fitting.WrongInputsError, match="has shape 1x3x40000x40000, but the model's input is 'image'"
    ) as e:
        stored.file_feeds([IMAGE], str(path))
    assert "numpy.savez" in e.value.hint
    assert "float32 array of shape Nx3x8x8" in e.value.hint


def test_more_than_the_memory_is_refused_unread(unpacks_to_gigabytes, monkeypatch):
    path = unpacks_to_gigabytes(25_000_000, 3, 8, 8)
    monkeypatch.setattr(system, "available_bytes", lambda: 8e9)
    with pytest.raises(fitting.WrongInputsError, match=r"need 19\.2 GB of memory, but only 8\.0 GB are free"):
        stored.file_feeds([IMAGE], str(path))


def test_no_image_is_refused(tmp_path):
    np.savez(tmp_path / "none.npz", image=np.zeros((0, 3, 8, 8), np.float32))
    with pytest.raises(fitting.WrongInputsError, match="axis 0 of input 'image' has size 0"):
        stored.file_feeds([IMAGE], str(tmp_path / "none.npz"))


@pytest.mark.parametrize(
    ("dtype", "saved"),
    [("float32", np.float64), ("int32", np.int64), ("uint8", np.uint8), ("bool", np.bool_), ("string", "U3")],
)
def test_values_come_in_the_models_type(tmp_path, dtype, saved):
    np.savez(tmp_path / "in.npz", x=np.zeros(2, saved))
    found = stored.file_feeds([{"name": "x", "shape": [2], "dtype": dtype}], str(tmp_path / "in.npz"))
    assert found["x"].dtype == ("object" if dtype == "string" else dtype)
