import random

import pytest

from edgekd.search._times import Timed, Times, fitted

POINTWISE, DEPTHWISE = "1x1 to 14x14", "3x3 depthwise to 14x14"


def seen(kind, times, *, count=40, noise=0.0, seed=0):
    generator = random.Random(seed)
    for _ in range(count):
        inputs, outputs = (generator.randint(1, 256) for _ in range(2))
        inputs = 0 if kind == DEPTHWISE else inputs
        yield Timed(kind, inputs, outputs, times.of(inputs, outputs) * (1 + noise * generator.gauss(0, 1)))


@pytest.mark.parametrize("block", [8, 16, 32])
def test_a_staircase_is_found_and_layers_that_were_not_seen_are_predicted(block):
    true = Times(block, 0.002, 0.0004, 0.0002, 0.0001)
    found = fitted([*seen(POINTWISE, true)])
    assert found[POINTWISE].block == block
    for layer in seen(POINTWISE, true, seed=1):
        assert found[POINTWISE].of(layer.inputs, layer.outputs) == pytest.approx(layer.time, rel=1e-6)


def test_noise_is_averaged_out():
    true = Times(16, 0.002, 0.0004, 0.0002, 0.0001)
    found = fitted([*seen(POINTWISE, true, noise=0.05, count=60)])
    errors = [found[POINTWISE].of(one.inputs, one.outputs) / one.time - 1 for one in seen(POINTWISE, true, seed=1)]
    assert max(map(abs, errors)) < 0.1


def test_kinds_have_times_of_their_own_and_inputs_of_depthwise_layers_do_not_count():
    found = fitted([*seen(POINTWISE, Times(16, 0, 0, 0, 1e-4)), *seen(DEPTHWISE, Times(16, 0.001, 0, 2e-4, 0))])
    assert found[DEPTHWISE].of(0, 64) == pytest.approx(0.001 + 4 * 2e-4)
    assert found[POINTWISE].of(8, 64) == pytest.approx(4e-4)


def test_narrower_is_never_predicted_to_be_slower():
    generator = random.Random(0)
    layers = [
        Timed(POINTWISE, 8 * generator.randint(1, 32), 8 * generator.randint(1, 32), generator.random())
        for _ in range(20)
    ]
    found = fitted(layers)[POINTWISE]
    assert all(found.of(8 * n, 64) <= found.of(8 * n + 8, 64) for n in range(1, 31))
