"""The distribution of the ratio of two artifacts' latencies, pair of blocks by pair of blocks, with its limit."""

from collections.abc import Iterator, Sequence
from itertools import chain

from edgekd.errors import MeasurementError
from edgekd.measuring.statistics import PAIRS_NEEDED, paired_ratios, percentile, ratio
from edgekd.report import svg
from edgekd.report.blocks import Picture, Table
from edgekd.report.cells import interval
from edgekd.report.markup import Markup
from edgekd.values import Interval, Measurement

_LEFT, _TOP, _WIDTH, _HEIGHT = 64, 40, 620, 150
_BINS = 40


def picture(
    measurement: Measurement, baseline: Measurement, limit: float | None = None, control: Interval | None = None
) -> Picture | None:
    """None where the two don't compare, or have too few pairs of blocks.

    Args:
        measurement: whose latency is divided.
        baseline: by whose.
        limit: what the ratio may be.
        control: the baseline ÷ itself: what the session's own error is.
    """
    try:
        launches = paired_ratios(measurement, baseline)
        pairs = sorted(chain.from_iterable(launches))
        found = ratio(measurement, baseline) if len(pairs) >= PAIRS_NEEDED else None
    except MeasurementError:
        return None
    if found is None:
        return None
    # a few blocks far out would squeeze all others together
    ends = [percentile(pairs, 0.5), percentile(pairs, 99.5), found.low, found.high, *([limit] if limit else [])]
    x = svg.scale(ends, _LEFT, _LEFT + _WIDTH, least=0)
    counts = _counts(pairs, x)
    y = svg.scale([0, max(counts)], _TOP + _HEIGHT, _TOP, least=0)
    words = _described(measurement, baseline, found, limit, len(pairs))
    drawn = svg.picture(
        _LEFT + _WIDTH + 16,
        _TOP + _HEIGHT + 44,
        *_margin(x, y, found, limit),
        svg.axes(x, y, (f"latency of {measurement.artifact.name} ÷ {baseline.artifact.name}", "pairs of blocks")),
        *_bars(counts, x, y),
        *_marks(x, y, found, limit, control),
        words=words,
    )
    return Picture(drawn, words, _numbers(launches, found, limit, control))


def _counts(pairs: Sequence[float], x: svg.Scale) -> list[int]:
    """Of each bin; what is beyond the ends is in the outermost."""
    counts = [0] * _BINS
    for pair in pairs:
        place = int((pair - x.low) / (x.high - x.low) * _BINS)
        counts[min(max(place, 0), _BINS - 1)] += 1
    return counts


def _bars(counts: Sequence[int], x: svg.Scale, y: svg.Scale) -> Iterator[Markup]:
    width = (x.end - x.start) / _BINS
    for number, count in enumerate(counts):
        if count:
            low, high = (x.low + (x.high - x.low) * (number + side) / _BINS for side in (0, 1))
            drawn = svg.rect(x.start + number * width + 0.5, y(count), width - 1, y.start - y(count), "fp32")
            yield svg.group(drawn, told=f"{low:.3f} to {high:.3f}: {count} pairs")


def _margin(x: svg.Scale, y: svg.Scale, found: Interval, limit: float | None) -> Iterator[Markup]:
    """From the interval's nearer bound to the limit."""
    if limit is not None and not found.low <= limit <= found.high:
        near = found.high if found.high < limit else found.low
        start, end = sorted((x(near), x(limit)))
        kind = "allowed" if near < limit else "beyond"
        yield svg.group(
            svg.rect(start, y.end, end - start, y.start - y.end, kind), told=f"margin: {_margin_words(near, limit)}"
        )


def _margin_words(near: float, limit: float) -> str:
    return f"{abs(limit - near) / limit:.1%} {'within' if near <= limit else 'beyond'} the limit"


def _marks(
    x: svg.Scale, y: svg.Scale, found: Interval, limit: float | None, control: Interval | None
) -> Iterator[Markup]:
    """The interval, its estimate and the limit; the control's width around the estimate."""
    if control is not None:
        off = [x(found.estimate * bound) for bound in (control.low, control.high)]
        told = f"the session's own error: the reference beside itself took {interval(control)}"
        yield svg.group(svg.rect(off[0], y.end - 6, off[1] - off[0], 4, "control"), told=told)
    within = svg.rect(x(found.low), y.end, max(1.0, x(found.high) - x(found.low)), y.start - y.end, "band")
    middle = svg.path(f"M{x(found.estimate):g} {y.end}V{y.start}", "line-kept")
    yield svg.group(within, middle, told=f"ratio {interval(found)}")
    if limit is not None:
        yield svg.path(f"M{x(limit):g} {y.end - 8}V{y.start}", "limit")
        side = ("end", -4) if x(limit) > (x.start + x.end) / 2 else ("start", 4)
        yield svg.text(x(limit) + side[1], y.end + 12, f"budget: {limit:.3g}", side[0], kind="limit")


def _described(m: Measurement, baseline: Measurement, found: Interval, limit: float | None, pairs: int) -> str:
    stated = "" if limit is None else f" The limit is {limit:.3g}: {_margin_words(_nearer(found, limit), limit)}."
    names = f"{m.artifact.name} ÷ {baseline.artifact.name}"
    return f"{names}: latency ratio {interval(found)} at {found.confidence:.0%}, of {pairs} pairs of blocks.{stated}"


def _nearer(found: Interval, limit: float) -> float:
    return found.high if found.estimate <= limit else found.low


def _numbers(
    launches: Sequence[Sequence[float]], found: Interval, limit: float | None, control: Interval | None
) -> Table:
    rows = [
        [f"launch {number}", f"{percentile(pairs, 50):.4f}", f"{min(pairs):.4f}", f"{max(pairs):.4f}", str(len(pairs))]
        for number, pairs in enumerate(launches, 1)
        if pairs
    ]
    rows.append(
        [
            "all",
            f"{found.estimate:.4f}",
            f"{found.low:.4f} (95 %)",
            f"{found.high:.4f} (95 %)",
            str(sum(map(len, launches))),
        ]
    )
    if limit is not None:
        rows.append(["limit", f"{limit:g}", "", "", ""])
    if control is not None:
        rows.append(["control", f"{control.estimate:.4f}", f"{control.low:.4f}", f"{control.high:.4f}", ""])
    return Table(["", "median", "least", "greatest", "pairs"], rows)
