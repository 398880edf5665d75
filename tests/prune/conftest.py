from collections.abc import Callable, Iterator, Mapping

import pytest
import torch
from torch import Tensor, nn

from edgekd.prune._base import Option, Subject


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Layers this small spend their time waiting for each other's threads on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def subject_of() -> Callable[..., Subject]:
    """Makes what a pruning method works on from a network of one channel and 16 x 16 pixels."""

    def make(
        model: nn.Module,
        *,
        block: int = 8,
        original: nn.Module | None = None,
        data: tuple[Tensor, Tensor] | None = None,
        costs: Mapping[str, float] | None = None,
        **options: Option,
    ) -> Subject:
        generator = torch.Generator().manual_seed(0)
        example = torch.randn(1, 1, 16, 16, generator=generator)
        images, labels = data or (torch.empty(0, 1, 16, 16), torch.empty(0, dtype=torch.int64))
        return Subject(model, example, block, original or model, images, labels, options, costs or {})

    return make
