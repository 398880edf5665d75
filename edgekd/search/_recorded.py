"""What a plan by a latency table says of itself: the structure in words, the table, and what was compared."""

from edgekd.search._base import WHOLE, Candidates
from edgekd.search._choices import Choices
from edgekd.search._levels import Levels
from edgekd.search._levels import Options as LevelOptions
from edgekd.search._table import Table
from edgekd.values import Proposal, Structure
from edgekd.values.plan import LatencyTable, Staircase, Structured


def proposal(structure: Structure, table: Table) -> Proposal:
    """The structure with what it takes out."""
    widths = table.widths(structure)
    own = {group.root: group.width for group in table.space.groups}
    narrower = sum(structure.widths.get(root, width) < width for root, width in own.items())
    channels = 1 - sum(widths[root] for root in own if not _gone(root, structure)) / sum(own.values())
    parts = [f"{channels:.0%} of the channels, in {narrower} of {len(own)} groups"] if narrower else []
    parts += [f"{len(structure.removed)} of {len(table.space.blocks)} blocks"] if structure.removed else []
    return Proposal(structure=structure, what=" and ".join(parts) or WHOLE.what)


def uniform_one(table: Table, latency: float, candidates: Candidates) -> Structure | None:
    """The least pruned in the same ratio of every layer that is predicted to be as fast."""
    levels = Levels("channels", table.space, LevelOptions(), candidates.scores).all()
    fast = (level.structure for level in levels if table.latency(level.structure) <= latency)
    return next((structure for structure in fast if not structure.is_whole), None)


def recorded(choices: Choices, structure: Structure, loss: float | None, candidates: Candidates) -> LatencyTable:
    """The table that led to the structure.

    Args:
        choices: of the table.
        structure: the one that was chosen.
        loss: its own, as a whole; None: not known.
        candidates: tell the loss of others.
    """
    table = choices.table
    widths = table.widths(structure)
    uniform = uniform_one(table, table.latency(structure), candidates)
    whole, *others = candidates.losses([Structure(), *([uniform] if uniform else [])])

    def structured(one: Structure, loss: float | None) -> Structured:
        return Structured(structure=one, latency=table.latency(one), loss=loss)

    return LatencyTable(
        variant=table.variant,
        networks=len(table.errors),
        typical_error=table.typical_error,
        worst_error=table.worst_error,
        unpruned=structured(Structure(), whole),
        chosen=structured(structure, loss),
        uniform=structured(uniform, others[0]) if uniform else None,
        staircases=tuple(
            Staircase(
                root=group.root,
                width=group.width,
                chosen=0 if _gone(group.root, structure) else widths[group.root],
                latencies={w: table.latency(Structure(widths={group.root: w})) for w in choices.widths[group.root]},
            )
            for group in table.space.groups
        ),
    )


def _gone(root: str, structure: Structure) -> bool:
    return any(root.startswith(f"{block}.") for block in structure.removed)
