import importlib
import sys

import fake_tensorrt
import pytest

from edgekd.runtimes import tensorrt as runtime
from edgekd.runtimes.tensorrt import _cuda


@pytest.fixture(scope="session")
def cudart(tmp_path_factory):
    """A CUDA runtime library whose device is the host."""
    if fake_tensorrt.COMPILER is None:
        pytest.skip("no C compiler: there is no fake CUDA runtime")
    return fake_tensorrt.compile_cudart(tmp_path_factory.mktemp("cudart"))


def forget_tensorrt():
    # not by monkeypatch, which would bring the fake one back at the end
    for name in [name for name in sys.modules if name.partition(".")[0] == "tensorrt"]:
        del sys.modules[name]


@pytest.fixture
def tensorrt_of(cudart, monkeypatch):
    """Makes the runtime `tensorrt` of this process one of a version."""

    def make(version="10.3.0"):
        forget_tensorrt()
        monkeypatch.setenv("FAKE_TENSORRT_VERSION", version)
        monkeypatch.syspath_prepend(fake_tensorrt.MODULES)
        monkeypatch.setattr(_cuda, "_candidates", lambda: iter([str(cudart)]))
        _cuda.load.cache_clear()
        assert importlib.import_module("tensorrt").__version__ == version
        return runtime

    yield make
    _cuda.load.cache_clear()
    forget_tensorrt()
