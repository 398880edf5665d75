import pytest


@pytest.fixture(scope="session", autouse=True)
def read_once(operators_read_once):
    """Most of these tests export small networks."""


@pytest.fixture
def runner_of(runner_of):
    """The same without saturation: what files compute is tested here, not what a CPU without VNNI makes of it."""
    exact = {"onnxruntime": {"exact_integers": True}}
    return lambda path, runtime, feeding=None: runner_of(path, runtime, feeding, **exact.get(runtime, {}))
