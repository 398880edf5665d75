"""A run's artifacts, side by side, and why each that isn't kept lost."""

from edgekd.report import svg
from edgekd.report.blocks import Block, Cell, Drawn, Items, Section, Table, Text
from edgekd.report.cells import code, interval, parity
from edgekd.report.pictures import latency
from edgekd.values.result import Result, Tried


def section(result: Result) -> Section:
    """The picture of all of them, what became of each, and their numbers."""
    drawn = latency.picture(result)
    header, *rows = artifact_rows(result)
    counted = [[*row, _integers(t)] for row, t in zip(rows, result.tried, strict=True)]
    return Section(
        "Artifacts",
        [
            Table([*header, "layers in integers"], counted),
            Text(f"Drops and ratios refer to `{result.reference}`."),
            *([drawn] if drawn else []),
            Table(["artifact", "latency ÷ the reference's", "what became of it"], _fates(result)),
            *_recovered(result),
        ],
    )


def artifact_rows(result: Result) -> list[list[str]]:
    """The reference and the student's artifacts, one per row, below the headings."""
    rows = [
        [
            t.name,
            f"{t.median_ms:.3f} ms" if t.median_ms is not None else "not measured",
            interval(t.ratio),
            f"{t.val.top1:.2%}",
            f"{t.test.top1:.2%}",
            f"{t.artifact.disk_bytes:,}",
            f"{t.artifact.transfer_bytes:,}",
            parity(t.parity),
        ]
        for t in result.tried
    ]
    header = ["file", "median", "ratio (95 %)", "validation", "test", "bytes", "gzip bytes", "against the network"]
    return [header, *rows]


def _integers(tried: Tried) -> str:
    return f"{tried.coverage.integers} of {tried.coverage.layers}" if tried.coverage else "–"


def _fates(result: Result) -> list[list[Cell]]:
    """A bar for each artifact that was measured, and the reason why it is kept or not; those that never were follow."""
    limit = next((one.limit for one in result.verdict.limits if one.name == "latency.max_ratio"), None)
    longest = max([limit or 0.0, *(tried.ratio.high for tried in result.tried if tried.ratio)]) or 1.0
    why = {gone.name: f"not kept: {gone.why}" for gone in result.choice.dropped}
    why |= {result.reference: "the reference", result.choice.artifact: f"**kept**: {result.choice.why}"}
    names = dict.fromkeys([*(tried.name for tried in result.tried), *why])
    measured = {tried.name: tried for tried in result.tried}
    return [[name, _bar(measured.get(name), result, longest, limit), why.get(name, "")] for name in names]


def _bar(tried: Tried | None, result: Result, longest: float, limit: float | None) -> Cell:
    if tried is None or tried.ratio is None:
        return "–"
    kinds = {result.choice.artifact: "kept"}
    piece = (0.0, tried.ratio.estimate / longest, kinds.get(tried.name, "control"))
    bounds = [(bound / longest, "at") for bound in (tried.ratio.low, tried.ratio.high)]
    marks = [*bounds, *([(limit / longest, "at-limit")] if limit else [])]
    return Drawn(f"{tried.ratio.estimate:.3f}", svg.bar([piece], marks))


def _recovered(result: Result) -> list[Block]:
    """What became of INT8 variants that lost too much accuracy."""
    if not result.recovered:
        return []
    layers = [
        Text(f"In floats in {one.name}, those first that INT8 costs most: {', '.join(map(code, one.float_layers))}.")
        for one in result.recovered
        if one.kept and one.float_layers
    ]
    told = Items([one.told() for one in result.recovered])
    return [Text("INT8 that lost too much accuracy at first:"), told, *layers]
