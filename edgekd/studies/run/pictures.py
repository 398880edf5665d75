"""The pictures of a study's page: each arm's accuracy against what its network costs."""

from collections.abc import Callable, Iterator, Sequence

from edgekd.report import svg
from edgekd.report.blocks import Picture, Table
from edgekd.report.markup import Markup
from edgekd.studies._results import Compared, Costs, StudyResult

Cost = Callable[[Costs], float | None]

_LEFT, _TOP, _WIDTH, _HEIGHT = 64, 34, 620, 300
_KEY = "Squares are teachers; diamonds students that no other student of their teacher beats (Pareto rank 1)"


def accuracy_against(result: StudyResult, name: str, unit: str, cost: Cost, file: str | None) -> Picture | None:
    """Test accuracy of arms and teachers; None where no arm has both.

    Args:
        result: of the study.
        name: the cost's.
        unit: the cost's, after its numbers; nothing for a count.
        cost: the cost itself; None where it wasn't measured.
        file: the picture's beside the report, if it has one.
    """
    arms = [(arm, *at) for arm in result.arms if (at := _place(arm, cost))]
    if not arms:
        return None
    teachers = [(one.model, own, 100 * one.test.top1) for one in result.teachers if (own := cost(one.costs))]
    x = svg.scale([0.0, *(at for _, at, _ in (*arms, *teachers))], _LEFT, _LEFT + _WIDTH, least=0)
    ends = [end for arm, _, at in arms for end in (at - _spread(arm), at + _spread(arm))]
    y = svg.scale([*ends, *(at for *_, at in teachers)], _TOP + _HEIGHT, _TOP, least=0, most=100)
    words = f"Test accuracy against {name}. {_KEY}; lines are the standard deviation over the seeds."
    drawn = svg.picture(
        _LEFT + _WIDTH + 16,
        _TOP + _HEIGHT + 44,
        svg.axes(x, y, (f"{name}{unit and f', {unit}'}", "test accuracy, %"), labels=("{:,g}", "{:g}")),
        *(_teacher(*one, x, y) for one in teachers),
        *(_arm(*one, x, y) for one in arms),
        words=words,
    )
    rows = list(_rows([(f"teacher {model}", own, at) for model, own, at in teachers], unit))
    rows += _rows([(arm.name, own, at) for arm, own, at in arms], unit)
    return Picture(drawn, words, Table(["network", name, "test accuracy"], rows), file)


def _place(arm: Compared, cost: Cost) -> tuple[float, float] | None:
    """The arm's cost and its accuracy in percent."""
    own = cost(arm.costs) if arm.costs else None
    return (own, 100 * arm.accuracy) if own and arm.accuracy is not None else None


def _spread(arm: Compared) -> float:
    return 100 * (arm.deviation or 0.0)


def _teacher(model: str, own: float, accuracy: float, x: svg.Scale, y: svg.Scale) -> Markup:
    told = f"teacher {model}: {accuracy:.2f} %, {own:,.4g}"
    return svg.group(svg.rect(x(own) - 5, y(accuracy) - 5, 10, 10, "reference"), told=told, series="teachers")


def _arm(arm: Compared, own: float, accuracy: float, x: svg.Scale, y: svg.Scale) -> Markup:
    at = x(own), y(accuracy)
    spread = svg.path(f"M{at[0]:g} {y(accuracy - _spread(arm)):g}V{y(accuracy + _spread(arm)):g}", "error")
    is_best = arm.tradeoff is not None and arm.tradeoff.pareto_rank == 1
    mark = svg.diamond(*at, "kept") if is_best else svg.dot(*at, 5, "other")
    series = "students of Pareto rank 1" if is_best else "other students"
    return svg.group(spread, mark, told=f"{arm.name}: {accuracy:.2f} %, {own:,.4g}", series=series)


def _rows(found: Sequence[tuple[str, float, float]], unit: str) -> Iterator[list[str]]:
    for name, own, accuracy in found:
        yield [name, f"{own:,.4g} {unit}".rstrip() if unit else f"{own:,.0f}", f"{accuracy:.2f} %"]
