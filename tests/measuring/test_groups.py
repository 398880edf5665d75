"""Many artifacts are measured in groups: few processes at once, and ratios that refer to the reference of the group."""

from dataclasses import dataclass

import pytest

from edgekd import catalog
from edgekd.devices.agent.protocol import Timed
from edgekd.errors import MeasurementError
from edgekd.measuring.artifact import describe
from edgekd.measuring.session import measure
from edgekd.measuring.statistics import ratio, samples_ms
from edgekd.progress import Silent
from edgekd.values import MeasuringProtocol

LAUNCHES = 3
PROTOCOL = MeasuringProtocol(launches=LAUNCHES, seconds=0.3, block_seconds=0.1, warmup_seconds=0.1)


@dataclass
class Alive:
    now: int = 0
    most: int = 0


@pytest.fixture
def measured(model, simulated):
    """So many artifacts on a device that is slower after each process; the n-th takes n ms at first, from 1.

    The processes that were alive at once are counted.
    """

    def measure_all(count, **more):
        paths = [model(f"n{number}", channels=number + 1) for number in range(count)]
        device, alive = simulated(lambda path: 1.0 + int(path.stem[1:])), Alive()
        start = device.start

        def timing():
            speed = 1.0 + device.finished
            return lambda ms, seconds: Timed((ms * speed,) * 15, energy_mj=None, canary_ms=1.0)

        def counted(runtime):
            agent = start(runtime)
            close = agent.close
            alive.now += 1
            alive.most = max(alive.most, alive.now)

            def closed():
                alive.now -= 1
                close()

            agent.close = closed
            return agent

        device.timing, device.start = timing, counted
        found = measure(
            [describe(path, name=path.stem, runtime="onnxruntime") for path in paths],
            device=device,
            target=catalog.target("x86-cpu"),
            protocol=PROTOCOL,
            progress=Silent(),
            **more,
        )
        return found, alive

    return measure_all


@pytest.mark.parametrize(("count", "groups"), [(1, 1), (2, 1), (4, 1), (5, 2), (7, 2), (9, 3)])
def test_at_most_four_processes_run_at_once_and_each_group_has_the_reference(measured, count, groups):
    found, alive = measured(count)
    assert alive.most <= 4
    assert len({m.session for m in found}) == 1
    assert len(found[0].launches) == LAUNCHES * groups
    assert all(len(m.launches) == LAUNCHES for m in found[1:])
    assert all(m.protocol.launches == LAUNCHES for m in found)
    assert {launch.group for m in found for launch in m.launches} == set(range(groups))


def test_ratios_refer_to_the_reference_of_the_own_group(measured):
    """The device gets slower with every group: beside the reference of another one all would be far off."""
    found, _ = measured(9)
    for number, one in enumerate(found):
        assert ratio(one, found[0]).estimate == pytest.approx(1 + number)
        assert ratio(found[0], one).estimate == pytest.approx(1 / (1 + number))
    assert max(samples_ms(found[1])) > 5 * min(samples_ms(found[1]))


def test_any_artifact_can_be_the_reference(measured):
    found, _ = measured(5, reference=4)
    assert [len(m.launches) // LAUNCHES for m in found] == [1, 1, 1, 1, 2]
    assert [ratio(one, found[4]).estimate for one in found] == pytest.approx([(1 + n) / 5 for n in range(5)])


def test_artifacts_that_took_no_turns_with_each_other_do_not_compare(measured):
    found, _ = measured(5)
    assert ratio(found[1], found[3]).estimate == pytest.approx(0.5)
    with pytest.raises(MeasurementError, match="are in different groups of their session"):
        ratio(found[1], found[2])
