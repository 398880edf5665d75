import pytest
import torch
from torch import Tensor, nn

from edgekd.errors import UnsupportedModelError
from edgekd.zoo.forward import run


class Raising(nn.Module):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def forward(self, images: Tensor) -> Tensor:
        raise self.error


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (AssertionError("Wrong image height! Expected 224 but got 16!"), "AssertionError: Wrong image height!"),
        (KeyError("missing"), "KeyError: 'missing'"),
        (AssertionError(), "mode: AssertionError"),
        (NotImplementedError(), "mode: NotImplementedError"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        (RuntimeError("\n\n  sizes differ\n  at some place"), "mode: sizes differ"),
        (RecursionError("too deep"), "too deep"),
    ],
)
def test_whatever_a_forward_raises_is_reported_in_its_own_words(error: Exception, says: str) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        run(Raising(error).eval(), torch.zeros(1, 1, 16, 16))
    assert says in caught.value.message
    assert "(1, 1, 16, 16) in evaluation mode" in caught.value.message
    assert "mend its forward" in caught.value.hint
    assert "\n" not in caught.value.message


def test_what_edgekd_itself_says_stays_as_it_is() -> None:
    error = UnsupportedModelError("own words", "own hint")
    with pytest.raises(UnsupportedModelError) as caught:
        run(Raising(error), torch.zeros(1))
    assert caught.value is error


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")])
def test_memory_that_ran_out_is_no_fault_of_the_network(error: Exception) -> None:
    with pytest.raises(type(error)):
        run(Raising(error), torch.zeros(1, 1, 2, 2))
