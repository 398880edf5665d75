from edgekd.measuring import summary
from edgekd.values import MeasuringProtocol


def test_an_engine_is_shown_with_its_size_and_how_long_its_build_took(measurement):
    built = measurement(engine_bytes=7_000_000, build_seconds=83.21)
    table = {row[0]: row[1:] for row in summary.rows([built, measurement()])}
    assert table["engine"] == ["7.00 MB", "none"]
    assert table["engine built in"] == ["83.2 s", ""]
    assert "engine" not in {row[0] for row in summary.rows([measurement()])}


def test_what_an_accelerator_takes_is_shown_beside_the_hosts_clock(measurement):
    launch = measurement().launches[0].model_copy(update={"accelerator_ms": (0.5, 0.7, 0.6)})
    accelerated = measurement().model_copy(update={"launches": (launch,)})
    table = {row[0]: row[1:] for row in summary.rows([accelerated, measurement()])}
    assert table["on the accelerator"] == ["0.6 ms", "none"]
    assert "on the accelerator" not in {row[0] for row in summary.rows([measurement()])}
    without = measurement(protocol=MeasuringProtocol(transfers="excluded"))
    assert "without transfers" in " ".join(summary.conditions(without))


def test_a_runtime_that_is_not_the_devices_own_is_named_with_its_build(measurement):
    bundled = measurement()
    bundled = bundled.model_copy(update={"runtime": bundled.runtime.model_copy(update={"origin": "Linux/arm64 build"})})
    title = f"{bundled.runtime.name} {bundled.runtime.version} (Linux/arm64 build)"
    assert title in " ".join(summary.conditions(bundled))
    assert ["runtime", title, measurement().runtime.title] in [
        list(row) for row in summary.rows([bundled, measurement()])
    ]
    assert "build" not in " ".join(summary.conditions(measurement()))


def test_launches_that_were_repeated_for_the_same_reason_are_counted(measurement):
    found = measurement().model_copy(update={"retried": ("it throttled", "a program ran", "it throttled")})
    lines = [line for line in summary.conditions(found) if "repeated" in line]
    assert lines == ["2 launches repeated: it throttled", "launch repeated: a program ran"]
