"""A verdict in a report: bullets, margins, and what to do next."""

import pytest
from example_report import limits

from edgekd.report.advice import next_steps
from edgekd.report.formats.markdown import written
from edgekd.report.verdicts import margin, section
from edgekd.values import LimitVerdict, Verdict


def limit(name, value, observed, unit="", status="pass", **bounds):
    return LimitVerdict(name=name, status=status, limit=value, observed=observed, unit=unit, evidence="why", **bounds)


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (limit("latency.max_ratio", 0.5, 0.4), "20.0% within"),
        (limit("latency.limit_ms", 10, 12, "ms"), "20.0% beyond"),
        (limit("accuracy.max_drop_pp", 1.0, -2.51, "points"), "3.51 points within"),
        (limit("accuracy.min_top1", 0.9, 0.88), "2.00 points beyond"),
        (limit("fallback.max_nodes", 0, 3), "3 beyond"),
        (limit("memory.peak_bytes", 1e6, None, "bytes", "not measured"), "–"),
    ],
)
def test_the_margin_is_relative_or_in_points(found, shown):
    assert margin(found) == shown


def places(found):
    """Where the bullet's marks are, from 0 to 100: the limit, then what was observed."""
    (row,) = section(Verdict(status="pass", budget="b", artifact="a", limits=(found,))).blocks[0].rows
    return [float(part.split(" ")[0]) for part in row[2].picture.split('d="M')[1:]]


def test_a_bullet_is_to_scale_also_below_zero():
    at, observed = places(limit("latency.max_ratio", 0.5, 0.4, low=0.39, high=0.41))
    assert observed / at == pytest.approx(0.4 / 0.5, abs=0.01)
    at, observed = places(limit("accuracy.max_drop_pp", 1.0, -2.0, "points"))
    assert 0 < observed < at < 100


def test_a_pass_needs_no_advice_and_all_else_has_some_once():
    assert next_steps(Verdict(status="pass", budget="b", artifact="a", limits=limits())) == []
    open_ones = (limit("latency.max_ratio", 1, 1, status="inconclusive"),) * 2
    (step,) = next_steps(Verdict(status="inconclusive", budget="b", artifact="a", limits=open_ones))
    assert "--launches" in step
    missed = limit("latency.max_ratio", 1, 2, status="fail"), limit("my_own.limit", 1, 2, status="fail")
    first, second = next_steps(Verdict(status="fail", budget="b", artifact="a", limits=missed))
    assert "--explain" in first
    assert "`my_own.limit` is missed" in second


def test_what_no_device_would_decide_has_other_advice_than_a_device():
    open_ones = [limit(name, 1, None, status="not measured") for name in ("accuracy.min_top1", "latency.limit_ms")]
    stored, device = next_steps(Verdict(status="not measured", budget="b", artifact="a", limits=open_ones))
    assert "`compress` or `edgekd export --calibrate` stored" in stored
    assert "--device" in device
    for name, says in (("energy.limit_mj", "report the power"), ("memory.peak_bytes", "remove that limit")):
        (step,) = next_steps(
            Verdict(
                status="not measured", budget="b", artifact="a", limits=(limit(name, 1, None, status="not measured"),)
            )
        )
        assert says in step


def test_an_invalid_verdict_says_why_and_what_to_do():
    verdict = Verdict(status="invalid", budget="b", artifact="a", limits=(), reasons=("it throttled",))
    text = "\n\n".join(written(section(verdict).blocks))
    assert "- it throttled" in text
    assert "run the same command again" in text
