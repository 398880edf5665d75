"""A session over time: every block of every launch, and what the device reported of its clock and its temperature."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgekd.measuring.disturbance import disturbances
from edgekd.measuring.statistics import median_ms, percentile
from edgekd.report import svg
from edgekd.report.blocks import Picture, Table
from edgekd.report.markup import Markup
from edgekd.values import Launch, Measurement, State

_LEFT, _TOP, _WIDTH, _HEIGHT, _STRIP, _GAP, _BELOW = 64, 48, 620, 220, 46, 60, 26
_KINDS = ("kept", "reference", "other", "third")
_MOST_SHOWN = len(_KINDS)
_MOST_LETTERS = 46
"""Of a name in the legend."""
_NAMES = "blocks of inferences, launch by launch", "ms: the median of each block, with its 10th to 90th percentile"
_ROOM_FOR_A_NUMBER = 16
_SPREAD = (10, 90)
"""The percentiles between which a block's line is drawn."""


@dataclass(frozen=True)
class _Block:
    """A block of timed inferences, and where it stands in the session, in blocks."""

    at: float
    median: float
    low: float
    high: float


def picture(found: Sequence[Measurement]) -> Picture | None:
    """Of the first four measurements; None where nothing was measured."""
    shown = [m for m in found if m.launches][:_MOST_SHOWN]
    if not shown:
        return None
    turns = _by_turn(shown)
    starts = _starts(turns)
    blocks = [_blocks(own, starts) for own in turns]
    x = svg.Scale(0.0, starts[-1], _LEFT, _LEFT + _WIDTH)
    ends = [end for series in blocks for block in series for end in (block.low, block.high)]
    y = svg.scale([0.0, *ends], _TOP + _HEIGHT, _TOP, least=0)
    strips = list(_strips(turns[0], starts, x, _TOP + _HEIGHT + _GAP))
    words = _described(shown, _first(turns))
    drawn = svg.picture(
        _LEFT + _WIDTH + 16,
        _TOP + _HEIGHT + _GAP + len(strips) * (_STRIP + _BELOW),
        *_launches(_first(turns), starts, x, y),
        svg.axes(x, y, _NAMES, labels=("", "{:g}")),
        *(_series(m, series, kind, x, y) for m, series, kind in zip(shown, blocks, _KINDS, strict=False)),
        *_legend(shown),
        *strips,
        words=words,
    )
    return Picture(drawn, words, _numbers(shown, turns))


def _by_turn(shown: Sequence[Measurement]) -> list[dict[int, Launch]]:
    """The launches of each measurement by their turn in the session, from 0, in which all that ran together have the
    same: those of a group, which is measured once in each launch of the session; the reference is in every group.
    """
    places: list[dict[tuple[int, int], Launch]] = []
    for m in shown:
        count: Counter[int] = Counter()
        places.append({})
        for launch in m.launches:
            places[-1][count[launch.group], launch.group] = launch
            count[launch.group] += 1
    turns = {place: turn for turn, place in enumerate(sorted({place for own in places for place in own}))}
    return [{turns[place]: launch for place, launch in own.items()} for own in places]


def _first(turns: Sequence[Mapping[int, Launch]]) -> list[Launch]:
    """A launch of each turn, which says how the device was."""
    found = {turn: launch for own in reversed(turns) for turn, launch in own.items()}
    return [found[turn] for turn in sorted(found)]


def _starts(turns: Sequence[Mapping[int, Launch]]) -> list[float]:
    """Where each turn begins, in blocks, and where the last one ends."""
    starts = [0.0]
    for turn, _ in enumerate(_first(turns)):
        blocks = (len(own[turn].blocks_ms) for own in turns if turn in own)
        starts.append(starts[-1] + max(blocks) + 1)
    return starts


def _blocks(own: Mapping[int, Launch], starts: Sequence[float]) -> list[_Block]:
    return [
        _Block(starts[turn] + number + 1, *(percentile(block, p) for p in (50, *_SPREAD)))
        for turn, launch in own.items()
        for number, block in enumerate(launch.blocks_ms)
    ]


def _launches(launches: Sequence[Launch], starts: Sequence[float], x: svg.Scale, y: svg.Scale) -> Iterator[Markup]:
    """Where launches begin, and those in which the device was disturbed."""
    for number, launch in enumerate(launches):
        start, end = x(starts[number]), x(starts[number + 1])
        if why := _disturbed(launch):
            yield svg.group(svg.rect(start, y.end, end - start, y.start - y.end, "throttled"), told="; ".join(why))
        yield svg.path(f"M{start:g} {y.end}V{y.start}", "launch")
        if end - start > _ROOM_FOR_A_NUMBER:
            yield svg.text((start + end) / 2, y.start + 17, str(number + 1), "middle", kind="small")


def _disturbed(launch: Launch) -> tuple[str, ...]:
    return disturbances(launch.before, launch.after) if launch.before and launch.after else ()


def _series(m: Measurement, series: Sequence[_Block], kind: str, x: svg.Scale, y: svg.Scale) -> Markup:
    spread = "".join(f"M{x(one.at):g} {y(one.low):g}V{y(one.high):g}" for one in series)
    middle = "".join(f"M{x(one.at) - 1.5:g} {y(one.median):g}h3" for one in series)
    marks = svg.path(spread, f"line-{kind}"), svg.path(middle, f"line-{kind}")
    return svg.group(*marks, told=m.artifact.name, series=m.artifact.name)


def _legend(shown: Sequence[Measurement]) -> Iterator[Markup]:
    for number, (m, kind) in enumerate(zip(shown, _KINDS, strict=False)):
        x, y = _LEFT + 310 * (number % 2), 12 + 15 * (number // 2)
        yield svg.path(f"M{x} {y - 4}h16", f"line-{kind}")
        yield svg.text(x + 21, y, svg.short(m.artifact.name, _MOST_LETTERS), kind="small")


def _strips(own: Mapping[int, Launch], starts: Sequence[float], x: svg.Scale, top: float) -> Iterator[Markup]:
    """Below the samples: the clock and the temperature at both ends of each launch."""
    for name, of in (("fastest clock, MHz", clock), ("hottest, °C", hottest)):
        found = [
            (at, value)
            for turn, launch in own.items()
            for at, state in ((starts[turn] + 1, launch.before), (starts[turn + 1] - 1, launch.after))
            if (value := of(state)) is not None
        ]
        if found:
            yield _strip(name, found, x, top)
            top += _STRIP + _BELOW


def _strip(name: str, found: Sequence[tuple[float, float]], x: svg.Scale, top: float) -> Markup:
    values = [value for _, value in found]
    y = svg.scale(values, top + _STRIP, top)
    line = svg.polyline([(x(at), y(value)) for at, value in found], "line-third")
    dots = [svg.group(svg.dot(x(at), y(value), 2, "half"), told=f"{name}: {value:.0f}") for at, value in found]
    ends = [
        svg.text(x.start - 7, y(value) + 4, f"{value:.0f}", "end", kind="small") for value in {min(values), max(values)}
    ]
    return svg.group(svg.text(x.start, top - 6, name, kind="small"), line, *dots, *sorted(ends))


def clock(state: State | None) -> float | None:
    """The fastest of a device's clocks."""
    return max(state.clocks_mhz) if state and state.clocks_mhz else None


def hottest(state: State | None) -> float | None:
    """The highest temperature of a device."""
    return max(state.temperatures_c.values()) if state and state.temperatures_c else None


def _described(shown: Sequence[Measurement], launches: Sequence[Launch]) -> str:
    medians = [f"{m.artifact.name}: {median_ms(m):.4g} ms at the median" for m in shown]
    slowed = sum(bool(_disturbed(launch)) for launch in launches)
    disturbed = f"Launches in which the device was disturbed: {slowed} of {len(launches)}."
    return f"Latency over time, launch by launch. {'; '.join(medians)}. {disturbed}"


_HEADER = ["launch", "file", "median, ms", "p95, ms", "load, ms", "first, ms"]
_HEADER += ["clock, MHz", "hottest, °C", "waited for a CPU", "disturbed by"]


def _numbers(shown: Sequence[Measurement], turns: Sequence[Mapping[int, Launch]]) -> Table:
    rows = [
        _row(turn, m, own[turn])
        for turn, _ in enumerate(_first(turns))
        for m, own in zip(shown, turns, strict=True)
        if turn in own
    ]
    return Table(_HEADER, rows)


def _row(number: int, m: Measurement, launch: Launch) -> list[str]:
    samples = sorted(ms for block in launch.blocks_ms for ms in block)
    waited = f"{sum(launch.waited_ms) / sum(samples):.1%}" if launch.waited_ms and sum(samples) else "–"
    return [
        str(number + 1),
        m.artifact.name,
        f"{percentile(samples, 50):.4g}",
        f"{percentile(samples, 95):.4g}",
        f"{launch.load_ms:.4g}",
        f"{launch.first_ms:.4g}",
        _change(clock(launch.before), clock(launch.after)),
        _change(hottest(launch.before), hottest(launch.after)),
        waited,
        "; ".join(_disturbed(launch)) or "nothing",
    ]


def _change(before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return "not reported"
    return f"{before:.0f}" if round(before) == round(after) else f"{before:.0f} → {after:.0f}"
