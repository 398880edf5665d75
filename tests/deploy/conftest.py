import pytest


@pytest.fixture(scope="session", autouse=True)
def read_once(operators_read_once):
    """Most of these tests export small networks."""
