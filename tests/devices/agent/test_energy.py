import time

import energy
import pytest


def test_where_nothing_tells_there_is_no_meter(system):
    assert energy.meter() is None


def test_packages_are_counted_once_and_a_counter_may_start_again(system):
    for zone, name in (("intel-rapl:0", "package-0"), ("intel-rapl:0:0", "core"), ("intel-rapl:1", "package-1")):
        system(f"class/powercap/{zone}/name", name)
        system(f"class/powercap/{zone}/energy_uj", 9_000)
        system(f"class/powercap/{zone}/max_energy_range_uj", 10_000)
    meter = energy.meter()
    meter.start()
    system("class/powercap/intel-rapl:0/energy_uj", 9_500)
    system("class/powercap/intel-rapl:1/energy_uj", 2_000)
    assert meter.stop_mj() == pytest.approx(0.5 + 3)


def rails(system, *found):
    for port, (label, volts, amperes) in enumerate(found, 1):
        folder = "bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
        system(f"{folder}/in{port}_label", label)
        system(f"{folder}/in{port}_input", volts)
        system(f"{folder}/curr{port}_input", amperes)


@pytest.mark.parametrize(
    ("found", "watts"),
    [
        ([("VDD_IN", 5_000, 1_000), ("VDD_CPU", 5_000, 400)], 5.0),
        ([("CPU", 5_000, 200), ("GPU", 5_000, 400), ("NC", 5_000, 900)], 3.0),
    ],
)
def test_power_of_the_rails_is_added_up_over_time(system, found, watts):
    rails(system, *found)
    meter, start = energy.meter(), time.perf_counter()
    meter.start()
    time.sleep(0.2)
    took = meter.stop_mj()
    assert took == pytest.approx(1e3 * watts * (time.perf_counter() - start), rel=0.1)


def test_a_rail_that_stops_reporting_gives_no_figure(system, tmp_path):
    rails(system, ("VDD_IN", 5_000, 1_000))
    meter = energy.meter()
    meter.start()
    (tmp_path / "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3/curr1_input").unlink()
    assert meter.stop_mj() is None
