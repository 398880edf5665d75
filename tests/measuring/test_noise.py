import random

import pytest

from edgekd.devices.device import connect
from edgekd.measuring import noise
from edgekd.progress import Silent
from edgekd.values import MeasuringProtocol

pytestmark = pytest.mark.alone


def blocks(generator, sd, factor=1.0):
    return [[[factor * generator.gauss(1, sd) for _ in range(5)] for _ in range(20)] for _ in range(5)]


@pytest.mark.parametrize(("sd", "below"), [(0.001, 0.002), (0.02, 0.02)])
def test_the_floor_and_the_resolution_follow_the_noise(measurement, sd, below):
    generator = random.Random(0)
    pairs = [(measurement(blocks(generator, sd)), measurement(blocks(generator, sd))) for _ in range(5)]
    found = noise.noise_of("net", pairs)
    assert len(found.ratios) == 5
    assert 0 < found.floor < found.resolution < below
    assert found.floor == max(abs(r.estimate - 1) for r in found.ratios)
    assert found.launches < 4 * sd


def test_nobody_gets_the_device_between_two_comparisons(monkeypatch, measurement):
    device, holders = connect("local:"), []

    def measure(artifacts, **_):
        holders.append(device.holder())
        return [measurement()] * 2

    monkeypatch.setattr(noise, "measure", measure)
    noise.self_comparison(device, "onnxruntime", None, Silent())
    assert len(holders) == 5
    assert None not in holders


def test_a_real_device_is_compared_with_itself(monkeypatch):
    quick = MeasuringProtocol(launches=2, seconds=0.05, block_seconds=0.01, warmup_seconds=0.05)
    monkeypatch.setattr(noise, "_PROTOCOL", quick)
    monkeypatch.setattr(noise, "_COMPARISONS", 2)
    found = noise.self_comparison(connect("local:"), "onnxruntime", None, Silent())
    assert found.model == "reference"
    assert len(found.ratios) == 2
    assert all(r.low <= r.estimate <= r.high for r in found.ratios)
