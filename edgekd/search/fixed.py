"""No search: the recipe states the structure, or one ratio for the whole network."""

from edgekd.errors import EdgekdError, UnsupportedModelError
from edgekd.pruning.space import Space
from edgekd.search._base import WHOLE, Candidates, Question
from edgekd.search._levels import Levels, Options
from edgekd.search.uniform import in_order
from edgekd.search.uniform import trials as least_and_most
from edgekd.values import Plan, Proposal, Structure

__all__ = ["Options", "check", "find", "trials"]


def check(question: Question) -> None:
    """Raises EdgekdError if neither a ratio nor a structure is stated, or both are."""
    if (question.settings.ratio is None) == (question.settings.structure is None):
        what = 'search.method = "fixed" requires either search.ratio or search.structure'
        raise EdgekdError(what, 'Set one of them, or set search.method = "uniform".')


def trials(question: Question, space: Space) -> tuple[Proposal, ...]:
    """What is stated; the least and the most where scores decide on the widths, which random weights don't give."""
    if (structure := question.settings.structure) is not None:
        _require_narrower(structure, space)
        return (_stated(structure),)
    if question.granularity == "channels" and question.options.scope == "global":
        return least_and_most(question, space)
    ratio = question.settings.ratio or 0.0
    return (
        Levels(question.granularity, space, question.options, lambda: in_order(space), question.fractions).of(ratio),
    )


def find(question: Question, candidates: Candidates) -> Plan:
    """The stated structure; raises UnsupportedModelError if a ratio prunes nothing, or more than is possible."""
    if question.settings.structure is not None:
        why = "the recipe states it"
        return Plan(proposal=_stated(question.settings.structure), feasible=None, why=why)
    ratio = question.settings.ratio or 0.0
    if not ratio:
        return Plan(proposal=WHOLE, feasible=None, why="a ratio of 0 was requested")
    levels = Levels(question.granularity, candidates.space, question.options, candidates.scores, question.fractions)
    return Plan(proposal=levels.of(ratio), feasible=None, why=f"a ratio of {ratio:g} was requested")


def _require_narrower(structure: Structure, space: Space) -> None:
    """Raises UnsupportedModelError if more channels are to be kept than a layer has."""
    for group in space.groups:
        if (width := structure.widths.get(group.root, 0)) > group.width:
            what = f"layer {group.root!r} has {group.width} channels, so {width} can't be kept of them"
            raise UnsupportedModelError(what, f"State {group.width} or fewer in [search.structure.widths].")


def _stated(structure: Structure) -> Proposal:
    parts = [
        *([f"channels of {len(structure.widths)} layers"] if structure.widths else []),
        *([f"{len(structure.removed)} blocks"] if structure.removed else []),
        *([f"{100 * structure.zeros:.3g} % of the weights"] if structure.zeros else []),
    ]
    return Proposal(structure=structure, what=" and ".join(parts) or "nothing")
