import pytest

from edgekd import catalog
from edgekd.devices.agent.protocol import Timed
from edgekd.devices.device import connect
from edgekd.measuring.artifact import describe
from edgekd.measuring.session import measure
from edgekd.progress import Silent
from edgekd.values import MeasuringProtocol
from tests.devices import boards
from tests.devices.simulated import SimulatedDevice

SHORT = MeasuringProtocol(launches=1, seconds=0.2, block_seconds=0.05, warmup_seconds=0.1)


def measured(device, model, target, protocol=SHORT):
    artifact = describe(model(), name="m", runtime="onnxruntime")
    with device:
        (found,) = measure([artifact], device=device, target=target, protocol=protocol, progress=Silent())
    return found


@pytest.mark.parametrize(("of_each_block", "of_an_inference"), [((30.0, 60.0), 3.0), ((30.0, None), None)])
def test_energy_is_that_of_an_inference_over_all_blocks(model, of_each_block, of_an_inference):
    given = iter(of_each_block * 100)
    device = SimulatedDevice(timing=lambda: lambda ms, seconds: Timed((ms,) * 15, next(given), 1.0))
    energy = measured(device, model, catalog.target("x86-cpu")).launches[0].energy_mj
    assert energy == (of_an_inference and pytest.approx(of_an_inference, rel=0.2))


def test_the_energy_of_a_jetson_is_the_power_of_its_module_for_as_long_as_an_inference_takes(model, tmp_path):
    python = boards.python("jetson-orin-nano", tmp_path)
    found = measured(connect(f"local:{python}"), model, catalog.target("jetson-orin-nano"))
    assert found.on_target
    (launch,) = found.launches
    samples = [ms for block in launch.blocks_ms for ms in block]
    watts = 7.44  # of VDD_IN, which feeds the other rails
    # W x ms = mJ; from one inference to the next it takes longer than the inference
    assert watts <= launch.energy_mj / (sum(samples) / len(samples)) < 3 * watts
    assert launch.before.over_current == {"oc1": 0, "oc2": 0, "oc3": 7}
    assert (launch.before.power_mode, launch.before.clocks_locked) == ("MAXN_SUPER", True)


def test_the_energy_of_a_paced_inference_is_that_of_its_whole_period(model, tmp_path):
    python = boards.python("jetson-orin-nano", tmp_path)
    paced = SHORT.model_copy(update={"loop": "paced", "cadence_hz": 25.0})
    found = measured(connect(f"local:{python}"), model, catalog.target("jetson-orin-nano"), paced)
    # a period of 40 ms with 7.44 W; of ten periods and one inference, a tenth would be missing
    assert 0.99 < found.launches[0].energy_mj / (40 * 7.44) < 1.08
