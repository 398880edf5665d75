import pytest

from edgekd import catalog
from edgekd.measuring.artifact import describe
from edgekd.measuring.session import measure
from edgekd.measuring.summary import conditions
from edgekd.progress import Silent
from edgekd.values import MeasuringProtocol
from tests.devices.simulated import SimulatedDevice


def measured(device, *paths, settings=None, **changes):
    artifacts = [describe(path, name=path.stem, runtime="onnxruntime", settings=settings) for path in paths]
    return measure(
        artifacts,
        device=device,
        target=catalog.target("x86-cpu"),
        protocol=MeasuringProtocol(launches=3, **changes),
        progress=Silent(),
    )


@pytest.mark.parametrize(
    ("files", "settings", "changes", "pinned"),
    [
        (1, {}, {}, [(6, 7)] * 3),
        (2, {}, {}, [(6,), (7,), (6,)]),
        (2, {}, {"same_cpus": False}, [(6, 7)] * 3),
        (1, {"threads": 3}, {}, [(4, 5, 6, 7)] * 3),
        (1, {}, {"affinity": (0,)}, [(0,)] * 3),
    ],
)
def test_on_an_arm_processor_with_several_kinds_of_cpus_the_fastest_are_chosen(model, files, settings, changes, pinned):
    device = SimulatedDevice(lambda path: 1.0, clusters=[(6, 7), (4, 5), (0, 1, 2, 3)])
    paths = [model(name) for name in ("a", "b")[:files]]
    for one in measured(device, *paths, settings=settings, **changes):
        assert [launch.cpus for launch in one.launches] == pinned
        assert one.protocol.affinity == changes.get("affinity")
        assert one.protocol.same_cpus == (files == 2 and not changes)
    assert device.affinities == [cpus for cpus in pinned for _ in range(files)]


def test_chosen_cpus_are_shown(model):
    device = SimulatedDevice(lambda path: 1.0, clusters=[(6, 7), (0, 1, 2, 3)])
    (found,) = measured(device, model())
    assert "closed loop, random inputs, on CPUs 6, 7" in conditions(found)[0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"power_mode": "15W"}, "power mode from MAXN to 15W"),
        ({"clocks_locked": False}, "clocks locked from yes to no"),
        ({"governor": "powersave", "power_mode": None}, "governor from performance to powersave; power mode from MAXN"),
        ({}, ""),
    ],
)
def test_a_power_mode_that_changes_between_launches_makes_the_measurement_invalid(model, change, says):
    fast = {"power_mode": "MAXN", "clocks_locked": True, "governor": "performance"}
    device = SimulatedDevice(lambda path: 1.0, described=lambda process: fast if process < 2 else {**fast, **change})
    (found,) = measured(device, model())
    assert [why.partition(": ")[2].startswith(says) for why in found.invalid] == ([True] if change else [])
    assert "power mode MAXN, clocks locked" in conditions(found)[1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"power_mode": "15W"}, "the power mode changed from not reported to 15W"),
        ({"over_current": {"oc3": 4}}, "over-current alarm oc3 throttled the device 4 times"),
        ({"throttled_since_boot": ("under-voltage",)}, "slowed down by under-voltage"),
        ({"throttled_by": ("Android's thermal status light",)}, "slowed down by Android's thermal status light"),
    ],
)
@pytest.mark.parametrize("always", [False, True])
def test_a_launch_during_which_the_device_was_slowed_down_is_made_again(model, change, says, always):
    device = SimulatedDevice(lambda path: 1.0, ended=lambda process: change if always or process == 2 else {})
    (found,) = measured(device, model())
    assert says in found.retried[0]
    assert len(found.retried) == (3 if always else 1)
    assert [says in why for why in found.invalid] == ([True] if always else [])


def test_cpus_of_one_kind_are_not_called_fastest(measurement):
    launches = tuple(one.model_copy(update={"cpus": (0,)}) for one in measurement([[[1.0]]]).launches)
    line = conditions(measurement().model_copy(update={"launches": launches}))[0]
    assert "on CPU 0" in line
    assert "fastest" not in line
