import pytest

from edgekd.training.schedule import learning_rate, steps_per_epoch


def test_incomplete_batch_counts_only_when_alone() -> None:
    assert steps_per_epoch(300, 128) == 2
    assert steps_per_epoch(100, 128) == 1


def test_rate_rises_to_the_peak_then_falls_towards_zero() -> None:
    rates = [learning_rate(step, 100, 0.4, 0.2) for step in range(100)]
    assert rates[0] == pytest.approx(0.02)
    assert rates[19] == rates[20] == pytest.approx(0.4)
    assert rates[:20] == sorted(rates[:20])
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert rates[60] == pytest.approx(0.2)
    assert 0 < rates[99] < 0.001


@pytest.mark.parametrize("warmup", [0.0, 1.0])
def test_rate_is_defined_with_no_warmup_and_with_nothing_else(warmup: float) -> None:
    assert max(learning_rate(step, 3, 0.1, warmup) for step in range(3)) == pytest.approx(0.1)
