from edgekd.measuring.by_device import rows
from edgekd.values import DeviceMeasurements, Failure

GONE = DeviceMeasurements(device="gone", url="ssh://gone", failure=Failure(message="off", exit_code=5))


def test_a_group_of_rows_for_each_device(measurement):
    half = measurement([[[0.5] * 20] * 4] * 5)
    pi = DeviceMeasurements(device="pi", url="ssh://pi", measurements=(measurement(), half))
    table = rows([pi, GONE], reference=0)
    assert table[0] == ["device", "model", "p50", "p95", "p99", "load", "peak memory", "ratio"]
    assert [row[:2] for row in table[1:]] == [["pi", "net"], ["", "net"], ["gone", "failed, exit code 5"]]
    assert table[1][-1] == ""
    assert table[2][-1].startswith("0.500 (")
    assert {len(row) for row in table} == {8}


def test_figures_of_a_disturbed_device_are_not_shown(measurement):
    pi = DeviceMeasurements(device="pi", url="ssh://pi", measurements=(measurement(invalid=("it throttled",)),))
    assert rows([pi])[1][2:] == ["invalid"] * 5
