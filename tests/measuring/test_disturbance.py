import random

import pytest

from edgekd.measuring.disturbance import contention, disturbances, drift, spoiled, wavering
from edgekd.values import Launch, State

QUIET = State(
    throttle_count=3,
    governor="performance",
    clock_limit_mhz=2000.0,
    gpu_clock_limit_mhz=1020.0,
    over_current={"oc1": 2, "oc3": 7},
    power_mode="25W",
    clocks_locked=True,
    throttled_since_boot=("under-voltage",),
)


@pytest.mark.parametrize("after", [QUIET, QUIET.model_copy(update={"clocks_mhz": (800.0,)})])
def test_a_quiet_device_disturbs_nothing(after):
    assert disturbances(QUIET, after) == ()


def test_a_device_that_reports_nothing_disturbs_nothing():
    assert disturbances(State(), State()) == ()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"throttle_count": 5}, "throttled 2 times"),
        ({"throttled_by": ("under-voltage",)}, "slowed down by under-voltage"),
        ({"governor": "powersave"}, "governor changed from performance to powersave"),
        ({"clock_limit_mhz": 1500.0}, "from 2000 to 1500 MHz"),
        ({"gpu_clock_limit_mhz": 612.0}, "the GPU's clock limit changed from 1020 to 612 MHz"),
        ({"power_mode": "15W"}, "the power mode changed from 25W to 15W"),
        ({"clocks_locked": False}, "the clocks were released"),
        ({"throttled_since_boot": ("under-voltage", "throttled")}, "slowed down by throttled"),
        ({"over_current": {"oc1": 2, "oc3": 11}}, "over-current alarm oc3 throttled the device 4 times"),
    ],
)
def test_what_changed_is_reported(changed, says):
    (reason,) = disturbances(QUIET, QUIET.model_copy(update=changed))
    assert says in reason


def test_what_slowed_it_at_the_beginning_counts_too():
    assert len(disturbances(QUIET.model_copy(update={"throttled_by": ("throttled",)}), QUIET)) == 1


def launch(*canary_ms):
    return Launch(load_ms=1, first_ms=1, blocks_ms=((1.0,),), canary_ms=canary_ms)


def wavering_clock(sd, factor=1.0, seed=0):
    generator = random.Random(seed)
    return [20 * generator.gauss(1, sd) for _ in range(10)] + [20 * factor * generator.gauss(1, sd) for _ in range(10)]


@pytest.mark.parametrize(("factor", "drifts"), [(1.0, False), (1.02, False), (1.06, True), (0.94, True)])
def test_a_canary_that_changes_by_more_than_3_percent_is_a_drift(factor, drifts):
    found = drift(launch(*wavering_clock(0.005, factor)))
    assert (found is not None) == drifts
    assert not drifts or f"changed by {factor - 1:+.0%}" in found


def test_a_clock_that_only_wavers_is_no_drift():
    assert sum(drift(launch(*wavering_clock(0.05, seed=seed))) is not None for seed in range(100)) <= 3


def test_few_blocks_tell_no_drift():
    assert drift(launch(1, 1, 1, 1, 2, 2, 2, 2)) is None
    assert drift(launch()) is None


def test_a_drift_spoils_milliseconds_as_what_is_invalid_does(measurement):
    plain = measurement()
    assert spoiled(plain) == ()
    changed = (*plain.launches[1:], launch(*[1.0] * 5, *[1.5] * 5))
    found = plain.model_copy(update={"launches": changed, "invalid": ("it throttled",)})
    assert spoiled(found)[0] == "it throttled"
    assert "changed by +50%" in spoiled(found)[1]


def test_launches_at_different_clocks_waver(measurement):
    launches = (launch(1.0, 1.1, 1.0), launch(1.2, 1.2, 1.0), launch())
    assert wavering(measurement().model_copy(update={"launches": launches})) == pytest.approx(0.2)
    assert wavering(measurement()) is None
    assert wavering(measurement().model_copy(update={"launches": launches[:1]})) is None


@pytest.mark.parametrize(
    ("waited_ms", "invalid"),
    [((), False), ((0.0,) * 5, False), ((0.4,) * 5, False), ((9.0, 9.0, 0.0, 0.0, 0.0), False), ((0.6,) * 5, True)],
)
def test_a_launch_that_waited_for_a_cpu_in_most_of_its_turns_is_invalid(waited_ms, invalid):
    found = contention(launch().model_copy(update={"blocks_ms": ((1.0,) * 10,) * 5, "waited_ms": waited_ms}))
    says = "other programs ran on the CPU: inferences waited for it for more than 5% of their time"
    assert found == ((says,) if invalid else ())
