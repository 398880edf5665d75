"""The plan of a run as a report shows it: the candidates, and the table by which they were found."""

from collections.abc import Sequence

from edgekd.report.blocks import Block, Cell, Table, Text
from edgekd.report.cells import code, interval
from edgekd.report.pictures import steps, widths
from edgekd.values import Candidate, Plan
from edgekd.values.network import LayerWidth
from edgekd.values.plan import LatencyTable, Staircase, Structured


def planned(plan: Plan, device: str | None, layers: Sequence[LayerWidth] = ()) -> list[Block]:
    """What was removed, why, what was measured for it, and the widths of the layers before and after."""
    drawn = widths.picture(layers)
    return [*_planned(plan, device), *([drawn] if drawn else [])]


def _planned(plan: Plan, device: str | None) -> list[Block]:
    text = f"Removed: {plan.proposal.what}; {plan.why}."
    if not plan.candidates:
        return [Text(text)]
    variants = list(dict.fromkeys(each.variant for c in plan.candidates for each in c.latencies))
    predicted = [f"{plan.table.variant} ÷ reference, predicted"] if plan.table else []
    header = ["removed", "parameters", "MACs", *predicted, *(f"{v} ÷ reference (95 %)" for v in variants)]
    rows = [_candidate(c, plan, variants) for c in plan.candidates]
    told = Text(f"{text} Untrained candidates, measured on `{device}`:")
    return [told, Table([*header, "meets the budget"], rows), *(_by_table(plan.table) if plan.table else [])]


def _candidate(candidate: Candidate, plan: Plan, variants: Sequence[str]) -> list[str]:
    ratios = {each.variant: interval(each.ratio) for each in candidate.latencies}
    fits = ", ".join(each.variant for each in candidate.latencies if each.fits)
    mark = " ← planned" if candidate.proposal == plan.proposal else ""
    return [
        f"{candidate.proposal.what}{mark}",
        f"{candidate.cost.parameters:,}",
        f"{candidate.cost.macs:,}",
        *(["–" if candidate.predicted is None else f"{candidate.predicted:.3f}"] if plan.table else []),
        *(ratios.get(variant, "–") for variant in variants),
        f"in {fits}" if fits else "no",
    ]


def _by_table(found: LatencyTable) -> list[Block]:
    """How good the table is, what uniform pruning would have given, and the widths of each group."""
    how = (
        f"Predictions for `{found.variant}` are from a table, learned from the traces of {found.networks} untrained "
        "networks of random widths; for networks that were held back they are wrong by "
        f"{found.typical_error:.1%} at the median, {found.worst_error:.1%} at worst."
    )
    rows = [["unpruned", *_of(found.unpruned)], ["the plan", *_of(found.chosen)]]
    if found.uniform:
        rows.append(["the same ratio of every layer", *_of(found.uniform)])
    structures = Table(["structure", "predicted ÷ reference", "loss before training"], rows)
    groups = [_group(each) for each in found.staircases]
    header = ["channels made by", "width", "predicted ÷ reference, with these channels alone at each width"]
    return [Text(how), structures, *([Table(header, groups)] if groups else [])]


def _of(one: Structured) -> list[str]:
    loss = "–" if one.loss is None else f"{one.loss:.3f}"
    return [f"{one.latency:.3f}", loss]


def _group(stairs: Staircase) -> list[Cell]:
    """The staircase of a group, with its chosen step."""
    chosen = "gone with its block" if stairs.chosen == 0 else f"{stairs.chosen} of {stairs.width}"
    return [code(stairs.root), chosen, steps.drawn(stairs)]
