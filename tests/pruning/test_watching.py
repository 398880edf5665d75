import torch
from torch import Tensor, nn

from edgekd.pruning.watching import maps


def test_what_comes_in_and_out_is_as_it_was_at_that_moment() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(inplace=True)).eval()
    image = torch.randn(1, 1, 4, 4)
    (before, after), (into, out) = maps(model, image, ["0", "1"]).values()
    assert torch.equal(before, image)
    assert torch.equal(after, model[0](image))
    assert torch.equal(into, after)
    assert torch.equal(out, after.relu())
    assert not torch.equal(out, into)


def test_only_modules_called_once_with_one_map_and_giving_one_have_maps() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.once, self.twice, self.never, self.flat = (nn.Identity() for _ in range(4))
            self.two = nn.Bilinear(4, 4, 4)

        def forward(self, x: Tensor) -> Tensor:
            x = self.once(self.twice(self.twice(x)))
            return self.flat(self.two(x, x).flatten(1))

    names = ["once", "twice", "never", "flat", "two"]
    assert list(maps(Odd().eval(), torch.randn(1, 2, 4, 4), names)) == ["once"]


def test_no_hook_stays() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1))
    maps(model, torch.randn(1, 1, 4, 4), ["0"])
    assert not model[0]._forward_hooks
    assert not model[0]._forward_pre_hooks
