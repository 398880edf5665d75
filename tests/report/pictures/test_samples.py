"""The pictures of a session: samples over time, and the distribution of the ratio."""

import re

from example_report import KEPT, REFERENCE, interval, measured

from edgekd.report.pictures import ratios, samples


def test_every_block_is_drawn_and_a_throttled_launch_is_marked():
    found = samples.picture([measured(KEPT, 0.4), measured(REFERENCE, 1.0)])
    middle = re.findall(r'class="line-(?:kept|reference)">', found.svg)
    assert len(middle) >= 4  # two lines of each file
    assert found.svg.count("h3") == 2 * 5 * 20
    assert found.svg.count('class="throttled"') == 1
    assert "the device throttled 1 times" in found.svg
    assert "Launches in which the device was disturbed: 1 of 5." in found.caption
    assert [row[0] for row in found.numbers.rows] == [str(n) for n in range(1, 6) for _ in range(2)]
    throttled = found.numbers.rows[4]
    assert throttled[6] == "3000 → 2800"
    assert "throttled" in throttled[-1]


def test_only_what_ran_together_stands_together():
    """The reference of a session of two groups has a launch with each."""
    kept, reference = measured(KEPT, 0.4), measured(REFERENCE, 1.0)
    grouped = [launch.model_copy(update={"group": 1}) for launch in kept.launches]
    both = [
        launch.model_copy(update={"group": group, "load_ms": 10.0 * number + group})
        for number, launch in enumerate(reference.launches)
        for group in (0, 1)
    ]
    found = samples.picture(
        [kept.model_copy(update={"launches": grouped}), reference.model_copy(update={"launches": both})]
    )
    rows = [(row[0], row[1].split("-")[0], row[4]) for row in found.numbers.rows]
    assert rows[:3] == [("1", "baseline", "0"), ("2", "student", rows[1][2]), ("2", "baseline", "1")]
    assert [row[0] for row in rows if row[1] == "student"] == ["2", "4", "6", "8", "10"]
    assert "of 10." in found.caption


def test_the_clock_and_the_temperature_have_a_strip_only_where_they_are_known(measurement):
    assert "fastest clock" in samples.picture([measured(KEPT, 0.4)]).svg
    assert "fastest clock" not in samples.picture([measurement()]).svg
    assert samples.picture([measured(KEPT, 0.4, launches=0)]) is None


def test_the_margin_is_between_the_interval_and_the_limit():
    kept, reference = measured(KEPT, 0.4), measured(REFERENCE, 1.0)
    found = ratios.picture(kept, reference, 0.5, interval(1.0, 0.004))
    assert re.search(
        r"latency ratio 0\.40\d .* of 100 pairs of blocks\. The limit is 0\.5: 1\d\.\d% within", found.caption
    )
    assert 'class="allowed"' in found.svg
    assert 'class="beyond"' in ratios.picture(kept, reference, 0.3).svg
    counted = sum(int(count) for count in re.findall(r"(\d+) pairs</title>", found.svg))
    assert counted == 100
    assert found.numbers.rows[-1][0] == "control"


def test_what_was_not_measured_side_by_side_has_no_distribution():
    other = measured(REFERENCE, 1.0, session="another")
    assert ratios.picture(measured(KEPT, 0.4), other) is None
    assert ratios.picture(measured(KEPT, 0.4, launches=0), measured(REFERENCE, 1.0, launches=0)) is None
