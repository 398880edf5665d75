from edgekd.measuring import by_device
from edgekd.values import DeviceMeasurements


def test_what_was_disturbed_has_neither_times_nor_a_ratio(measurement):
    base, throttled = measurement(), measurement(invalid=("it throttled",))
    calm = DeviceMeasurements(device="calm", url="local:", measurements=(base, measurement()))
    hot = DeviceMeasurements(device="hot", url="local:", measurements=(base, throttled))
    heading, *rows = by_device.rows((calm, hot), 0)
    ratios = [row[heading.index("ratio")] for row in rows]
    assert ratios == ["", "1.000 (1.000 to 1.000)", "", "invalid"]
    assert [row[heading.index("p50")] == "invalid" for row in rows] == [False, False, False, True]
