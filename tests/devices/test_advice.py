import pytest

from edgekd.devices.advice import advice
from edgekd.values import DeviceFacts, DeviceRuntime, Host, Platform, State

HOST = Host(machine="m", arch="aarch64", os="linux", cpu="Arm", cores=6, python="3.10.12")
QUIET = State(governor="performance", throttle_count=0)
ORIN = Platform(l4t="36.4.3", compatible=("nvidia,tegra234",))
MODES = {"15W": 0, "25W": 1, "MAXN_SUPER": 2}


def given(host=None, state=None, platform=None, runtimes=None):
    facts = DeviceFacts(
        host=HOST.model_copy(update=host or {}), runtimes=runtimes or {}, platform=platform or Platform()
    )
    return advice(facts, QUIET.model_copy(update=state or {}))


def tensorrt(version):
    return {"tensorrt": DeviceRuntime(version=version, provider="TensorRT")}


def test_a_quiet_device_needs_nothing():
    assert given() == []


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({"state": {"governor": "ondemand"}}, "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq"),
        ({"host": {"os": "android", "clocks_locked": False}}, "cmd power set-fixed-performance-mode-enabled true"),
        ({"host": {"os": "android"}}, "clocks are not reported; before measuring, fix them: adb shell cmd power set-f"),
        ({"state": {"governor": "schedutil"}, "host": {"clocks_locked": False}}, "sudo jetson_clocks"),
        ({"state": {"throttled_by": ("under-voltage",)}}, "slowed down by under-voltage: use a stronger power supply"),
        ({"state": {"throttled_by": ("heat (gpu-throttle-alert)",)}}, "let it cool down"),
        (
            {"state": {"throttled_since_boot": ("under-voltage",)}},
            "has been slowed down by under-voltage since it star",
        ),
        ({"state": {"throttle_count": 4}}, "has throttled 4 times since it started: let it cool down"),
        ({"state": {"over_current": {"oc1": 0, "oc3": 7}}}, "alarm oc3 has throttled it 7 times"),
        ({"state": {"throttle_count": None}}, "throttling is not reported"),
        ({"state": {"throttle_count": None}, "platform": ORIN}, "throttling by over-current is not reported"),
        ({"state": {"governor": None}}, "clocks are not reported"),
        ({"state": {"charging": True}}, "charging"),
        (
            {"host": {"power_mode": "battery saver", "os": "android", "clocks_locked": True}},
            "adb shell settings put global low_power 0",
        ),
        (
            {"host": {"power_mode": "15W"}, "platform": Platform(power_modes=MODES)},
            "its power mode, 15W; sudo nvpmodel -m N sets another: 1 (25W), 2 (MAXN_SUPER)",
        ),
        ({"platform": Platform(free_bytes=3 * 10**8)}, "only 0.3 GB are free"),
        ({"platform": ORIN, "runtimes": tensorrt("10.3.0")}, "TensorRT 10.3.0 fails to build some INT8"),
        ({"platform": ORIN.model_copy(update={"tensorrt": "10.3.0.30"})}, "TensorRT 10.3.0.30 fails to build"),
    ],
)
def test_each_finding_is_said_with_its_remedy(found, says):
    (said,) = given(**found)
    assert says in said


def test_what_lasts_is_said_once():
    (said,) = given(state={"throttled_by": ("under-voltage",), "throttled_since_boot": ("under-voltage",)})
    assert said.startswith("it is slowed down")


@pytest.mark.parametrize(
    "found",
    [
        # what is installed counts, not what this JetPack came with
        {"platform": ORIN, "runtimes": tensorrt("10.7.0")},
        {"platform": ORIN.model_copy(update={"tensorrt": "10.3.0.30"}), "runtimes": tensorrt("10.7.0")},
        {"platform": ORIN},
        {"runtimes": tensorrt("10.3.0")},
        {"platform": ORIN.model_copy(update={"l4t": None}), "runtimes": tensorrt("10.30.0")},
        # the governor has no clock to choose
        {"state": {"governor": "schedutil"}, "host": {"clocks_locked": True}},
        {"state": {"throttle_count": None, "over_current": {"oc1": 0}}, "platform": ORIN},
        {"state": {"governor": None, "clocks_mhz": (2600.0,)}},
        {"host": {"power_mode": "MAXN"}},
        {"state": {"throttle_count": None, "throttled_since_boot": ()}},
        {"state": {"governor": "walt", "throttle_count": None}, "host": {"os": "android", "clocks_locked": True}},
    ],
)
def test_what_is_well_is_not_mentioned(found):
    assert given(**found) == []
