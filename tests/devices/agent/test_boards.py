"""Every reading of the agent against trees of the boards that edgekd has targets for."""

import time
import types
from dataclasses import asdict, dataclass, field

import android
import board
import clocks
import commands
import energy
import power_mode
import pytest
import rails
import state
import sysfs
import system as host

from edgekd import catalog
from edgekd.devices.recognition import fitting
from edgekd.values import DeviceFacts, Host, Platform, State
from tests.devices import boards


@dataclass(frozen=True)
class Expected:
    model: str
    compatible: str | None  # one of them
    mode: str | None
    locked: bool | None
    clusters: list[tuple[int, ...]]
    l4t: str | None = None
    jetpack: str | None = None
    tensorrt: str | None = None
    gpu_mhz: tuple[float | None, float | None] = (None, None)
    temperatures_c: dict[str, float] = field(default_factory=dict)
    over_current: dict[str, int] = field(default_factory=dict)
    rails_w: dict[str, float] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)
    throttled_by: tuple[str, ...] = ()
    throttled_since_boot: tuple[str, ...] | None = None


EXPECTED = {
    "jetson-orin-nano": Expected(
        "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
        "nvidia,p3767-0005",
        "MAXN_SUPER",
        True,
        [(0, 1, 2, 3, 4, 5)],
        l4t="36.4.7",
        jetpack="6.2.1",
        tensorrt="10.3.0.30",
        gpu_mhz=(1020, 1020),
        temperatures_c={"cpu-thermal": 51.25, "gpu-thermal": 52.093},
        over_current={"oc1": 0, "oc2": 0, "oc3": 7},
        rails_w={"VDD_IN": 7.44, "VDD_CPU_GPU_CV": 2.48, "VDD_SOC": 1.984},
        whole={"VDD_IN"},
    ),
    "jetson-orin-nx": Expected(
        "NVIDIA Orin NX Developer Kit",
        "nvidia,p3767-0000",
        "15W",
        False,
        [(0, 1, 2, 3)],
        l4t="35.4.1",
        gpu_mhz=(306, 612),
        rails_w={"VDD_IN": 6.0, "VDD_CPU_GPU_CV": 1.5, "VDD_SOC": 1.75},
        whole={"VDD_IN"},
    ),
    "jetson-agx-orin": Expected(
        "NVIDIA Jetson AGX Orin Developer Kit",
        "nvidia,p3701-0005",
        "MODE_30W",
        False,
        [(0, 1, 2, 3, 4, 5, 6, 7)],
        l4t="35.4.1",
        gpu_mhz=(306, 624.75),
        over_current={"oc1": 0, "oc2": 0, "oc3": 0},
        rails_w={"VDD_GPU_SOC": 3.8, "VDD_CPU_CV": 1.9, "VIN_SYS_5V0": 4.0, "VDDQ_VDD2_1V8AO": 0.5},
        whole={"VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"},
    ),
    "jetson-xavier-nx": Expected(
        "NVIDIA Jetson Xavier NX Developer Kit",
        "nvidia,p3509-0000+p3668-0000",
        "MODE_10W_4CORE",
        False,
        [(0, 1, 2, 3)],
        l4t="32.7.1",
        gpu_mhz=(114.75, 803.25),
        rails_w={"VDD_IN": 4.22, "VDD_CPU_GPU_CV": 1.01, "VDD_SOC": 0.89},
        whole={"VDD_IN"},
    ),
    "jetson-nano": Expected(
        "NVIDIA Jetson Nano Developer Kit",
        "nvidia,jetson-nano",
        "MAXN",
        True,
        [(0, 1, 2, 3)],
        l4t="32.7.6",
        gpu_mhz=(0, 921.6),
        rails_w={"POM_5V_IN": 2.875, "POM_5V_CPU": 0.64},
        whole={"POM_5V_IN"},
    ),
    "jetson-thor": Expected(
        "NVIDIA Jetson AGX Thor Developer Kit",
        "nvidia,tegra264",
        "120W",
        True,
        [tuple(range(14))],
        l4t="39.2.0",
        tensorrt="10.16.2.10",
        gpu_mhz=(1575, 1575),
        temperatures_c={"tj-thermal": 55.1},
        rails_w={"VDD_GPU": 7.7056, "VDD_CPU_SOC_MSS": 11.5584, "VIN_SYS_5V0": 8.85312, "VIN": 40.0},
        throttled_by=("heat (gpu-throttle-alert)",),
        whole={"VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"},
    ),
    "raspberry-pi-4": Expected(
        "Raspberry Pi 4 Model B Rev 1.4",
        "brcm,bcm2711",
        None,
        None,
        [(0, 1, 2, 3)],
        temperatures_c={"cpu-thermal": 48.199},
        throttled_since_boot=("under-voltage",),
    ),
    "raspberry-pi-5": Expected(
        "Raspberry Pi 5 Model B Rev 1.0",
        "raspberrypi,5-model-b",
        None,
        None,
        [(0, 1, 2, 3)],
        temperatures_c={"cpu-thermal": 84.1},
        throttled_by=("under-voltage", "the soft temperature limit"),
        throttled_since_boot=("the soft temperature limit",),
    ),
    "android-phone": Expected(
        "Google Pixel 6",
        None,
        "battery saver",
        False,
        [(6, 7), (4, 5), (0, 1, 2, 3)],
        temperatures_c={"thermal_zone0": 41.0, "BIG": 72.25, "LITTLE": 61.0, "VIRTUAL-SKIN": 43.5},
        throttled_by=("Android's thermal status moderate", "the thermal status light of BIG"),
    ),
}


@pytest.fixture(params=boards.NAMES)
def expected(request, tmp_path, monkeypatch):
    """Makes this machine look like the board, and says what should be read of it."""
    looks_like(request.param, tmp_path, monkeypatch)
    return EXPECTED[request.param]


def looks_like(name, tmp_path, monkeypatch):
    boards.make(name, tmp_path)
    monkeypatch.setattr(sysfs, "ROOT", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    if name == "android-phone":
        monkeypatch.setenv("ANDROID_ROOT", "/system")
    cpus = {int(folder.name[3:]) for folder in (tmp_path / "sys/devices/system/cpu").glob("cpu*")}
    monkeypatch.setattr("os.sched_getaffinity", lambda _: cpus)


def test_what_decides_speed_is_read(expected):
    found = host.describe()
    assert (found.board, found.power_mode, found.clocks_locked) == (expected.model, expected.mode, expected.locked)


def test_what_only_informs_is_read(expected):
    found = Platform(**asdict(board.describe(None)))
    assert (found.l4t, found.jetpack, found.tensorrt) == (expected.l4t, expected.jetpack, expected.tensorrt)
    assert [cluster.cpus for cluster in found.clusters] == expected.clusters
    assert expected.compatible in found.compatible if expected.compatible else found.compatible == ()


def test_the_state_is_read(expected):
    found = State(**asdict(state.state()))
    assert found.temperatures_c == expected.temperatures_c
    assert found.over_current == expected.over_current
    assert found.rails_w == pytest.approx(expected.rails_w)
    assert (found.gpu_clock_mhz, found.gpu_clock_limit_mhz) == expected.gpu_mhz
    assert found.throttled_by == expected.throttled_by
    assert found.throttled_since_boot == expected.throttled_since_boot
    assert (found.power_mode, found.clocks_locked) == (expected.mode, expected.locked)


def test_every_target_that_is_recognised_by_its_board_has_one_here():
    assert {target.name for target in catalog.targets() if target.compatible} <= {*boards.NAMES}


@pytest.mark.parametrize("name", boards.NAMES)
def test_a_board_is_of_its_own_target_and_of_no_others_but_the_general_one(name, tmp_path, monkeypatch):
    looks_like(name, tmp_path, monkeypatch)
    found = facts_of("android" if name == "android-phone" else "linux")
    general = [] if name == "android-phone" else ["arm-cpu"]
    assert [target.name for target in fitting(found, catalog.targets())] == [name, *general]


def test_why_a_board_is_of_no_other_target_is_said(tmp_path, monkeypatch):
    looks_like("jetson-orin-nano", tmp_path, monkeypatch)
    (why,) = facts_of("linux").differences(catalog.target("jetson-agx-orin"))
    assert why == "none of its board's identifiers fits *p3701-000[0458]*"
    architecture, identifiers = facts_of("linux", "x86_64").differences(catalog.target("jetson-thor"))
    assert architecture == "its architecture is x86_64, not aarch64"
    assert "p3834" in identifiers


def facts_of(system, arch="aarch64"):
    described = Host(**asdict(host.describe())).model_copy(update={"arch": arch, "os": system})
    platform = Platform(**asdict(board.describe(None)))
    return DeviceFacts(host=described, runtimes={}, platform=platform)


def test_energy_is_that_of_the_whole_module(expected):
    assert {rail.label for rail in rails.whole()} == expected.whole
    assert (energy.meter() is not None) == bool(expected.whole)


def test_energy_is_the_power_of_the_whole_module_over_time(expected, monkeypatch):
    meter = energy.meter()
    if not expected.whole:
        assert meter is None
        return
    seconds = iter([10.0, 12.5])
    monkeypatch.setattr(energy, "time", types.SimpleNamespace(perf_counter=lambda: next(seconds)))
    monkeypatch.setattr(energy, "_SAMPLE_S", 60)
    meter.start()
    watts = sum(watts for label, watts in expected.rails_w.items() if label in expected.whole)
    assert meter.stop_mj() == pytest.approx(2_500 * watts)


def test_a_phone_reports_its_android_and_whether_it_charges(tmp_path, monkeypatch):
    looks_like("android-phone", tmp_path, monkeypatch)
    assert (board.describe(None).android, board.describe(None).android_sdk) == ("14", 34)
    assert android.charging() is True


def test_phones_which_all_are_called_localhost_are_told_apart(tmp_path, monkeypatch):
    looks_like("android-phone", tmp_path, monkeypatch)
    monkeypatch.setattr("platform.node", lambda: "localhost")
    one = host.describe().machine
    boards._write_program(tmp_path / "bin/getprop", {"ro.serialno": "7G6F5E4D3C2B1A"})
    assert host.describe().machine != one
    boards._write_program(tmp_path / "bin/getprop", {"ro.serialno": "1A2B3C4D5E6F7G"})
    assert host.describe().machine == one


def test_a_phone_in_fixed_performance_mode_has_its_clocks_locked(tmp_path, monkeypatch):
    looks_like("android-phone", tmp_path, monkeypatch)
    assert clocks.locked() is False
    for cpu in (tmp_path / "sys/devices/system/cpu").glob("cpu*/cpufreq"):
        for file in ("scaling_min_freq", "scaling_max_freq", "scaling_cur_freq"):
            (cpu / file).write_text("1200000")
    assert clocks.locked() is True


@pytest.mark.parametrize(
    ("reported", "causes"),
    [
        ("", ()),
        ("Thermal Status: 0", ()),
        ("IsStatusOverride: false\nThermal Status: 3", ("Android's thermal status severe",)),
        # before the hardware has reported
        ("IsStatusOverride: false\nThermal Status: -2147483648\nHAL Ready: false", ()),
        # somebody has set the status by a command
        ("IsStatusOverride: true\nThermal Status: 4", ()),
        (
            (
                "IsStatusOverride: true\nThermal Status: 0\nCurrent temperatures from HAL:\n"
                "\tTemperature{mValue=50.0, mType=3, mName=skin, mStatus=3}\n"
                "\tTemperature{mValue=35.0, mType=2, mName=battery, mStatus=1}"
            ),
            ("the thermal status severe of skin",),
        ),
    ],
)
def test_the_thermal_status_is_what_slows_a_phone_down(tmp_path, monkeypatch, reported, causes):
    looks_like("android-phone", tmp_path, monkeypatch)
    boards._write_program(tmp_path / "bin/dumpsys", {"thermalservice": reported})
    assert android.thermal().causes == causes


def test_cuda_and_the_numbers_of_power_modes_are_read(tmp_path, monkeypatch):
    looks_like("jetson-orin-nano", tmp_path, monkeypatch)
    found = board.describe(None)
    assert (found.cuda, found.power_modes) == ("12.6.68", {"15W": 0, "25W": 1, "MAXN_SUPER": 2})


def test_free_space_is_that_of_the_cache_folder_even_before_it_exists(tmp_path):
    assert board.describe(str(tmp_path / "not" / "made")).free_bytes > 0


@pytest.mark.parametrize("lost", ["etc", "var", "proc", "sys/class", "sys/bus", "sys/devices", "bin"])
def test_what_cannot_be_read_is_left_out_and_nothing_else(expected, lost, tmp_path):
    folder = tmp_path / lost
    if folder.exists():
        folder.rename(tmp_path / "lost")
    folder.write_text("not a folder")
    host.describe()
    board.describe(None)
    found = state.state()
    if lost not in ("sys/class", "bin", "proc"):
        assert found.throttled_by == expected.throttled_by


def test_clocks_that_are_capped_below_the_highest_are_not_locked(tmp_path, monkeypatch):
    looks_like("jetson-orin-nano", tmp_path, monkeypatch)
    assert clocks.locked()
    (tmp_path / "sys/class/devfreq/17000000.gpu/cur_freq").write_text("612000000")
    assert clocks.locked() is False


def test_an_idle_cpu_whose_counter_reports_less_is_locked_nevertheless(tmp_path, monkeypatch):
    looks_like("jetson-orin-nano", tmp_path, monkeypatch)
    (tmp_path / "sys/devices/system/cpu/cpu3/cpufreq/scaling_cur_freq").write_text("729600")
    assert clocks.locked()


def test_a_power_mode_that_the_configuration_does_not_name_is_queried(tmp_path, monkeypatch):
    looks_like("jetson-nano", tmp_path, monkeypatch)
    (tmp_path / "var/lib/nvpmodel/status").write_text("pmode:0007")
    assert power_mode.power_mode() is None
    boards._write_program(tmp_path / "bin/nvpmodel", {"-q": "NV Fan Mode:quiet\nNV Power Mode: CUSTOM\n7"})
    assert power_mode.power_mode() == "CUSTOM"


@pytest.mark.parametrize("script", ["exec sleep 30", "exit 1", "kill -9 $$"])
def test_a_program_that_hangs_or_fails_reports_nothing(tmp_path, monkeypatch, script):
    program = tmp_path / "bin/vcgencmd"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setattr(commands, "LIMIT_S", 0.2)
    start = time.monotonic()
    assert commands.output("vcgencmd", "get_throttled") == ""
    assert time.monotonic() - start < 5
