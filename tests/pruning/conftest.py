from collections.abc import Callable, Iterator, Mapping

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.pruning.apply import Pruned, apply
from edgekd.pruning.chosen import criterion_of
from edgekd.pruning.criteria._base import Criterion, Subject
from edgekd.pruning.explore import scores_of, space_of
from edgekd.pruning.graph import Group
from edgekd.search._levels import Levels, Options


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Layers this small spend their time waiting for each other's threads on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def subject_of() -> Callable[..., Subject]:
    """Makes what a criterion judges from a network of one channel and 16 x 16 pixels."""

    def make(
        model: nn.Module,
        criterion: str = "l1",
        *,
        data: tuple[Tensor, Tensor] | None = None,
        saved_ms: Mapping[str, float] | None = None,
        **options: object,
    ) -> Subject:
        example = torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
        images, labels = data or (torch.empty(0, 1, 16, 16), torch.empty(0, dtype=torch.int64))
        return Subject(model, example, images, labels, criterion_of(criterion, options)[1], saved_ms or {})

    return make


class Scored:
    """A criterion that scores each group by a function."""

    SCORES = "channels"

    def __init__(self, score: Callable[[Group], Tensor]) -> None:
        self.score = score

    def scores(self, subject: Subject, groups: list[Group]) -> tuple[Tensor, ...]:
        return tuple(map(self.score, groups))


def levels_of(subject: Subject, criterion: Criterion, *, block: int = 8, scope: str = "layer") -> Levels:
    """The structures of a network by how much goes."""
    space = space_of(subject.model, subject.example, channel_block=block, kinds=[criterion.SCORES])
    fractions = getattr(criterion, "FRACTIONS", ())
    return Levels(criterion.SCORES, space, Options(scope=scope), lambda: scores_of(subject, criterion), fractions)


@pytest.fixture
def pruned_by(subject_of: Callable[..., Subject]) -> Callable[..., Pruned]:
    """Prunes by a criterion of that name and a ratio."""

    def prune(
        model: nn.Module, ratio: float, name: str = "l1", *, block: int = 8, scope: str = "layer", **more: object
    ):
        subject, (criterion, _) = subject_of(model, name, **more), criterion_of(name, {})
        return apply(subject, levels_of(subject, criterion, block=block, scope=scope).of(ratio).structure, criterion)

    return prune


@pytest.fixture
def narrow(subject_of: Callable[..., Subject]) -> Callable[..., Pruned]:
    """Narrows a network, or what was left of it before, by scores of each group."""

    def make(
        model: nn.Module, ratio: float, score: Callable[[Group], Tensor], *, block: int = 8, to: nn.Module | None = None
    ) -> Pruned:
        subject, criterion = subject_of(model), Scored(score)
        structure = levels_of(subject, criterion, block=block).of(ratio).structure
        return apply(subject_of(to or model), structure, criterion)

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
