import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Small networks on a busy machine spend more time waiting for a second thread than it saves."""
    torch.set_num_threads(1)
