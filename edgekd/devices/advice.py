"""What makes measuring on a device less exact, or building there fail, and the command that mends it."""

from collections.abc import Iterator

from edgekd.devices import jetson
from edgekd.values import DeviceFacts, Host, State

_LITTLE_BYTES = 2e9  # engines, a bundle and files take about half of it

_PERFORMANCE = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
_FIXED = (
    "adb shell cmd power set-fixed-performance-mode-enabled true (Android 11 or newer; not every phone has the mode)"
)
_UNDER_VOLTAGE = "under-voltage"
_SUPPLY = "use a stronger power supply and a short cable"
_COOL = "let it cool down, or cool it better"


def advice(facts: DeviceFacts, state: State) -> list[str]:
    """One sentence for each finding, what disturbs most first."""
    return [*_disturbed(state), *_clocks(facts, state), *_power_mode(facts), *_software(facts), *_space(facts)]


def _disturbed(state: State) -> Iterator[str]:
    for cause in state.throttled_by:
        yield f"it is slowed down by {cause}: {_remedy(cause)}"
    for cause in state.throttled_since_boot or ():
        if cause not in state.throttled_by:
            yield (
                f"it has been slowed down by {cause} since it started: {_remedy(cause)}; "
                "then restart it, since the next time shows only while it lasts"
            )
    for alarm, count in state.over_current.items():
        if count:
            yield (
                f"over-current alarm {alarm} has throttled it {count} times since it started: "
                "use a stronger power supply, or a lower power mode"
            )
    if state.throttle_count:
        yield f"it has throttled {state.throttle_count} times since it started: {_COOL}"
    if state.charging:
        yield "it is charging, which heats it: let it cool down, or measure when the battery is full"


def _remedy(cause: str) -> str:
    return _SUPPLY if cause == _UNDER_VOLTAGE else _COOL


def _clocks(facts: DeviceFacts, state: State) -> Iterator[str]:
    host = facts.host
    if host.os == "android":
        yield from _fixed_performance(host)
        return
    if state.governor is None and not state.clocks_mhz:
        yield "clocks are not reported, as in most virtual machines: prefer relative limits"
    if state.throttle_count is None and state.throttled_since_boot is None and not state.over_current:
        by = " by over-current" if jetson.is_jetson(facts.platform) else ""
        yield f"throttling{by} is not reported: edgekd sees it only in the times of its own test computation"
    if host.clocks_locked is False:
        yield "its clocks are not locked: sudo jetson_clocks (until the next restart or change of power mode)"
    elif state.governor and state.governor != "performance" and not host.clocks_locked:
        yield f"the clock governor is {state.governor}, so the clock follows the load: {_PERFORMANCE}"


def _fixed_performance(host: Host) -> Iterator[str]:
    if host.clocks_locked is None:
        yield f"its clocks are not reported; before measuring, fix them: {_FIXED}"
    elif not host.clocks_locked:
        yield f"its clocks follow the load: {_FIXED}"


def _power_mode(facts: DeviceFacts) -> Iterator[str]:
    mode, modes = facts.host.power_mode, facts.platform.power_modes
    if mode == "battery saver":
        yield "the battery saver slows it down: adb shell settings put global low_power 0"
    elif mode is not None and (others := {name: n for name, n in modes.items() if name != mode}):
        named = ", ".join(f"{number} ({name})" for name, number in others.items())
        yield f"measurements hold for its power mode, {mode}; sudo nvpmodel -m N sets another: {named}"


def _software(facts: DeviceFacts) -> Iterator[str]:
    runtime = facts.runtimes.get("tensorrt")
    version = runtime.version if runtime else facts.platform.tensorrt
    # ultralytics issues 23467, 23841 and 24368; nothing is concluded from the release of the system
    if version and version.split(".")[:2] == ["10", "3"] and jetson.is_jetson(facts.platform):
        yield (
            f"TensorRT {version} fails to build some INT8 networks on JetPack 6: deploy those in fp16, "
            "or install TensorRT 10.7 there"
        )


def _space(facts: DeviceFacts) -> Iterator[str]:
    free = facts.platform.free_bytes
    if free is not None and free < _LITTLE_BYTES:
        yield f"only {free / 1e9:.1f} GB are free for files and engines: edgekd devices clean removes earlier ones"
