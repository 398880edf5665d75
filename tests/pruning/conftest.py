from collections.abc import Callable, Iterator, Mapping

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.pruning._base import Option, Subject


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


WIDTH = 32


class Net(nn.Module):
    """Two convolutions and a classifier; what happens in between is each test's own."""

    def __init__(self, between: Callable[[Tensor], Tensor], behind: Callable[[Tensor], Tensor], features: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, WIDTH, 3, padding=1)
        self.second = nn.Conv2d(WIDTH, WIDTH, 1)
        self.head = nn.Linear(features, 10)
        self.between, self.behind = between, behind

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.behind(F.relu(self.second(self.between(F.relu(self.first(x)))))))


def as_it_is(x: Tensor) -> Tensor:
    return x


def pooled(x: Tensor) -> Tensor:
    return x.mean((2, 3))


def shuffled(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def fours(x: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(x, 4)


REORDERING: dict[str, Callable[[], nn.Module]] = {
    "NHWC flatten": lambda: Net(as_it_is, lambda x: fours(x).permute(0, 2, 3, 1).flatten(1), WIDTH * 16),
    "shuffle": lambda: Net(shuffled, pooled, WIDTH),
    "ChannelShuffle": lambda: Net(nn.ChannelShuffle(2), pooled, WIDTH),
    "flip": lambda: Net(lambda x: x.flip(1), pooled, WIDTH),
    "roll": lambda: Net(lambda x: torch.roll(x, 5, 1), pooled, WIDTH),
    "stack": lambda: Net(as_it_is, lambda x: torch.stack([pooled(x), x.amax((2, 3))], 1).flatten(1), 2 * WIDTH),
}


@pytest.fixture(params=REORDERING)
def reordering(request: pytest.FixtureRequest) -> nn.Module:
    """A network between whose layers channels change places."""
    return REORDERING[request.param]().eval()


@pytest.fixture
def plain() -> nn.Module:
    """The same without."""
    return Net(as_it_is, lambda x: fours(x).flatten(1), WIDTH * 16).eval()
