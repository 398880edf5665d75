import pytest
import torch

from edgekd.training.rounding import RoundedActivation, RoundedWeight


def test_weight_has_255_levels_of_its_own_in_every_channel() -> None:
    weight = torch.randn(4, 3, 3, 3) * torch.tensor([1e-3, 1.0, 7.0, 100.0]).view(4, 1, 1, 1)
    given = RoundedWeight()(weight)
    for channel, exact in zip(given, weight, strict=True):
        step = exact.abs().max() / 127
        torch.testing.assert_close(channel, (exact / step).round() * step, rtol=1e-5, atol=1e-9)


def test_gradient_of_a_weight_is_that_of_its_rounded_value() -> None:
    weight = torch.randn(4, 3, requires_grad=True)
    (RoundedWeight()(weight) * torch.arange(3.0)).sum().backward()
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad, torch.arange(3.0).expand(4, 3))


def begun(values: torch.Tensor, **how: bool) -> RoundedActivation:
    activation = RoundedActivation(**how).eval()
    activation.begins = True
    activation(values)
    activation.begins = False
    return activation


def test_observed_range_starts_as_seen_and_follows_in_training_alone() -> None:
    activation = begun(torch.tensor([-1.0, 2.0]))
    activation(torch.tensor([-9.0, 9.0]))
    assert activation.range == (-1.0, 2.0)
    activation.train()(torch.tensor([1.0, 12.0]))
    assert activation.range == pytest.approx((-0.99, 2.1))  # 0 is always in the range
    outside = activation.eval()(torch.tensor([50.0]))
    assert outside.item() == pytest.approx(2.1, abs=0.02)


def test_learned_range_starts_as_seen_and_moves_by_its_gradient_alone() -> None:
    activation = begun(torch.tensor([-1.0, 2.0]), learned=True)
    activation.train()(torch.tensor([-9.0, 9.0]))
    assert activation.range == (-1.0, 2.0)


def test_symmetric_range_has_255_levels_around_0() -> None:
    activation = begun(torch.tensor([-1.0, 2.54]), symmetric=True)
    assert activation.range == pytest.approx((-2.54, 2.54))
    given = activation(torch.tensor([0.0, 0.011, -0.029, 9.0]))
    torch.testing.assert_close(given, torch.tensor([0.0, 0.02, -0.02, 2.54]))


@pytest.mark.parametrize(("symmetric", "least", "most"), [(False, 0, 255), (True, -128, 127)])
def test_gradient_of_a_learned_range_is_that_of_lsq(symmetric: bool, least: int, most: int) -> None:
    """Against the paper's equations, in their own form: the scale is learned, and rounding passes gradients on."""
    values = 3 * torch.randn(6, 40)
    activation = begun(values / 2, symmetric=symmetric, learned=True)
    upstream = torch.randn(6, 40)
    given = values.clone().requires_grad_()
    (activation(given) * upstream).sum().backward()
    high = activation.high.detach().clone() if not symmetric else torch.tensor(activation.range[1])
    low = torch.zeros(()) if symmetric else activation.low.detach().clone()
    exact, bounds = values.clone().requires_grad_(), [each.requires_grad_() for each in (low, high)]
    scale = (bounds[1] - bounds[0]) / (most if symmetric else 255)
    zero = torch.zeros(()) if symmetric else (-low / scale).detach().round()
    raw = exact / scale + zero
    integers = raw + (raw.clamp(least, most).round() - raw).detach()
    inside = ((raw >= least) & (raw <= most)).detach()
    step = (integers - zero) * scale
    clipped = bounds[1] if not symmetric else most * scale
    lowest = bounds[0] if not symmetric else least * scale
    expected = torch.where(inside, step, torch.where(raw > most, clipped, lowest))
    (expected * upstream).sum().backward()
    torch.testing.assert_close(given.grad, exact.grad)
    factor = most**1.5 / 40**0.5
    assert activation.high.grad is not None
    assert high.grad is not None
    torch.testing.assert_close(activation.high.grad, factor * high.grad, rtol=0.02, atol=0.5)
    if not symmetric:
        assert activation.low.grad is not None
        assert low.grad is not None
        torch.testing.assert_close(activation.low.grad, factor * low.grad, rtol=0.02, atol=0.5)


def test_range_of_a_rectifiers_output_begins_at_0_for_good() -> None:
    activation = begun(torch.tensor([0.0, 2.0]), learned=True).train()
    activation(torch.tensor([[-0.5, 0.3, 1.0]])).sum().backward()
    assert activation.low.grad == 0


def test_an_activation_that_is_always_0_stays_0() -> None:
    for learned in (False, True):
        assert (begun(torch.zeros(4), learned=learned).train()(torch.zeros(1, 4)) == 0).all()
