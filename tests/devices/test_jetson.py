import pytest

from edgekd.devices import jetson
from edgekd.values import Platform


def test_what_is_not_reported_is_that_of_the_release():
    assert jetson.missing(Platform(l4t="35.4.1")) == {"jetpack": "5.1.2", "cuda": "11.4", "tensorrt": "8.5.2"}


def test_what_the_device_reports_is_never_replaced():
    reported = Platform(l4t="36.4.3", jetpack="6.2", tensorrt="10.7.0.23")
    assert jetson.missing(reported) == {"cuda": "12.6"}


@pytest.mark.parametrize("l4t", [None, "36.4", "36.4.99", "40.0.0", ""])
def test_an_unknown_release_gives_nothing(l4t):
    assert jetson.missing(Platform(l4t=l4t)) == {}


def test_what_is_not_known_of_a_release_stays_unknown():
    assert "tensorrt" not in jetson.missing(Platform(l4t="36.3.0"))


def test_each_release_is_listed_once():
    assert len({release.l4t for release in jetson.RELEASES}) == len(jetson.RELEASES)


@pytest.mark.parametrize(
    ("compatible", "expected"),
    [
        (("nvidia,p3767-0005", "nvidia,tegra234"), "8.7"),
        (("nvidia,jetson-nano", "nvidia,tegra210"), "5.3"),
        (("nvidia,tegra999",), None),
        (("raspberrypi,5-model-b", "brcm,bcm2712"), None),
        ((), None),
    ],
)
def test_the_processor_decides_the_compute_capability(compatible, expected):
    platform = Platform(compatible=compatible)
    assert jetson.compute_capability(platform) == expected
    assert jetson.is_jetson(platform) is (expected is not None)
