import pytest
import torch

from edgekd.training.rate import restart_rate
from edgekd.values import Training
from edgekd.zoo import networks

TEACHER = Training(epochs=10, learning_rate=0.1)


@pytest.fixture
def saved(tmp_path):
    """A network whose largest or smallest weights are zero, as a sparse one on disk."""
    known = networks.architecture("resnet8", classes=10, shape=(1, 16, 16))

    def save(gone, *, smallest=True, origin="pruned", factor=1.0):
        model = networks.untrained(known, 0)
        with torch.no_grad():
            for weight in (p for p in model.parameters() if p.ndim > 1):
                order = weight.abs().flatten().argsort(descending=not smallest)
                weight.flatten()[order[: round(gone * weight.numel())]] = 0
                weight.mul_(factor)
        path = tmp_path / f"{gone}-{smallest}-{factor}.safetensors"
        return networks.save(model, path, known, origin=origin, sparse=gone > 0)

    return save


def test_the_more_of_the_norm_is_lost_the_higher_it_is_up_to_the_originals(saved):
    whole = saved(0.0, origin="given")
    small, large = (restart_rate(saved(0.5, smallest=smallest), whole, 1, TEACHER) for smallest in (True, False))
    # of normal weights, the smaller half has seven per cent of the square of the norm
    assert small == pytest.approx(0.1 * 0.0716**0.5 / 0.5**0.5, rel=0.05)
    assert large == 0.1


def test_long_trainings_begin_at_the_originals_rate_and_short_ones_lower(saved):
    whole = saved(0.0, origin="given")
    assert [restart_rate(saved(0.5), whole, epochs, TEACHER) for epochs in (8, 10, 40)] == [0.08, 0.1, 0.1]
    assert restart_rate(whole, whole, 2, TEACHER) == 0.02
    # a larger norm than before has lost nothing
    assert restart_rate(saved(0.5, factor=3.0), whole, 2, TEACHER) == 0.02


def test_random_weights_begin_at_the_originals_rate(saved):
    whole = saved(0.0, origin="given")
    assert restart_rate(saved(0.5, origin="random"), whole, 1, TEACHER) == 0.1
