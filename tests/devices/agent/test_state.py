import hashlib
import platform
from dataclasses import asdict

import pytest
import raspberry_pi
import state
import system as described

from edgekd.values import State


def test_where_the_system_reports_nothing_nothing_is_made_up(system):
    assert State(**asdict(state.state())) == State()


@pytest.mark.parametrize(("clocks", "alike"), [((2_000, 2_000), True), ((2_000, 3_000), False)])
def test_cpus_of_two_kinds_are_reported(system, monkeypatch, clocks, alike):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    assert described.cpus().alike  # nothing tells them apart
    for cpu, clock in enumerate(clocks):
        system(f"devices/system/cpu/cpu{cpu}/cpufreq/cpuinfo_max_freq", clock)
    assert (described.cpus().cpus, described.cpus().alike) == ((0, 1), alike)


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "200000 100000"}, 2),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.max": "6400000 100000"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ({}, 8),
    ],
)
def test_a_container_s_quota_of_cpu_time_counts_as_its_cpus(system, monkeypatch, files, cores):
    """More threads than that would wait, stopped, for a part of each period."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    for name, text in files.items():
        system(f"fs/cgroup/{name}", text)
    assert described.describe().cores == cores


@pytest.mark.parametrize(
    ("limit", "room"), [("700000000", 300_000_000), ("max", 2048_000_000), ("9000000000", 2048_000_000)]
)
def test_a_container_s_memory_is_what_it_may_take(system, tmp_path, limit, room):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal:  4000000 kB\nMemAvailable:  2000000 kB\n")
    system("fs/cgroup/memory.max", limit)
    system("fs/cgroup/memory.current", "400000000")
    assert described.available_bytes() == room


@pytest.mark.parametrize("machine", ["aarch64", "x86_64"])
def test_the_clusters_of_an_arm_processor_are_listed_the_fastest_first(system, monkeypatch, machine):
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3})
    for cpu, (mhz, capacity) in enumerate([(1_800, 300), (1_800, 300), (1_700, 900), (3_000, 1_024)]):
        system(f"devices/system/cpu/cpu{cpu}/cpufreq/cpuinfo_max_freq", 1_000 * mhz)
        system(f"devices/system/cpu/cpu{cpu}/cpu_capacity", capacity)
    clusters = [(cluster.cpus, cluster.max_mhz) for cluster in described.cpus().clusters]
    fastest = [((3,), 3_000), ((2,), 1_700), ((0, 1), 1_800)]
    assert clusters == (fastest if machine == "aarch64" else [])


def test_a_device_is_known_by_its_serial_number_else_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(described.sysfs, "ROOT", tmp_path)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text("10000000abcdef\0")
    known = described.describe().machine
    assert known == hashlib.sha256(b"10000000abcdef").hexdigest()[:12]
    (tmp_path / "etc/machine-id").unlink()
    assert described.describe().machine == hashlib.sha256(platform.node().encode()).hexdigest()[:12]


@pytest.fixture
def raspberry(system, tmp_path):
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_text("Raspberry Pi 4 Model B Rev 1.4\0")
    return system


X86 = "vendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx2\n"
CORTEX = "BogoMIPS\t: 38.40\nFeatures\t: fp asimd asimddp\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n"
NEWER_QEMU = CORTEX.replace("0x41", "0x00")


@pytest.mark.parametrize(
    ("machine", "cpuinfo", "emulated"),
    [("aarch64", X86, True), ("arm64", NEWER_QEMU, True), ("aarch64", CORTEX, False), ("x86_64", X86, False)],
)
def test_an_arm_device_with_the_processor_of_another_machine_is_emulated(monkeypatch, machine, cpuinfo, emulated):
    text = described.sysfs.text
    monkeypatch.setattr(described.sysfs, "text", lambda file: cpuinfo if str(file) == "/proc/cpuinfo" else text(file))
    monkeypatch.setattr("platform.machine", lambda: machine)
    found = described.describe()
    assert found.emulated == emulated
    assert (found.cpu, found.cpu_features) == ("emulated", ()) if emulated else found.cpu_features != ()


def test_the_canary_takes_the_same_time_give_or_take():
    assert 0 < state.canary_ms() < 10


def test_clocks_are_read_from_every_cpu(system):
    for cpu, (governor, clock, count) in enumerate([("performance", 1_500_000, 3), ("powersave", 900_000, 4)]):
        system(f"devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor", governor)
        system(f"devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq", clock)
        system(f"devices/system/cpu/cpu{cpu}/cpufreq/scaling_max_freq", 2 * clock)
        system(f"devices/system/cpu/cpu{cpu}/thermal_throttle/core_throttle_count", count)
    found = State(**asdict(state.state()))
    assert found.clocks_mhz == (1500, 900)
    assert found.clock_limit_mhz == 3000
    assert found.governor == "performance,powersave"
    assert found.throttle_count == 7


def test_the_hottest_zone_of_a_type_counts(system):
    for zone, (kind, temperature) in enumerate([("cpu", 51_000), ("cpu", 54_500), ("gpu", 40_000)]):
        system(f"class/thermal/thermal_zone{zone}/type", kind)
        system(f"class/thermal/thermal_zone{zone}/temp", temperature)
    system("class/thermal/thermal_zone9/type", "broken")
    assert state.temperatures_c() == {"cpu": 54.5, "gpu": 40.0}


@pytest.mark.parametrize(
    ("bits", "since", "now"),
    [
        ("0x0", (), ()),
        ("0x50005", ("under-voltage", "throttled"), ("under-voltage", "throttled")),
        ("0x20000", ("the CPU's clock capped",), ()),
        ("nonsense", None, ()),
    ],
)
def test_a_raspberry_pi_reports_by_its_firmware(raspberry, bits, since, now):
    raspberry("devices/platform/soc/soc:firmware/get_throttled", bits)
    assert raspberry_pi.throttled() == raspberry_pi.Throttled(now, since)


@pytest.mark.parametrize("bits", ["0x0", "0x1", "nonsense"])
def test_the_kernels_alarm_of_under_voltage_counts_too(raspberry, bits):
    raspberry("devices/platform/soc/soc:firmware/get_throttled", bits)
    raspberry("class/hwmon/hwmon1/name", "rpi_volt")
    raspberry("class/hwmon/hwmon1/in0_lcrit_alarm", 1)
    assert state.state().throttled_by == ("under-voltage",)


def test_a_jetson_tells_by_its_over_current_counters(system):
    system("class/hwmon/hwmon0/name", "tmp451")
    system("class/hwmon/hwmon1/name", "soctherm_oc")
    system("class/hwmon/hwmon1/oc1_event_cnt", 2)
    system("class/hwmon/hwmon1/oc3_event_cnt", 40)
    assert state.over_current() == {"oc1": 2, "oc3": 40}
