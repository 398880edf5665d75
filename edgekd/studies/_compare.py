"""From cells to comparisons: means, paired gains, trade-offs."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from edgekd.studies._base import Arm
from edgekd.studies._results import Cell, Compared, Costs, Gain, TeacherResult, Tradeoff
from edgekd.studies._statistics import paired_interval, pareto_ranks


def compared(arm: Arm, cells: Sequence[Cell], costs: Costs | None) -> Compared:
    """An arm with the mean and the deviation of its cells' accuracy."""
    accuracies = [cell.test.top1 for cell in cells]
    return Compared(
        name=arm.name,
        factors=arm.factors,
        settings=arm.settings,
        teacher=str(arm.settings["model"]),
        chosen=arm.chosen,
        cells=tuple(cells),
        accuracy=statistics.fmean(accuracies) if accuracies else None,
        deviation=statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        costs=costs,
    )


def with_gains(found: Sequence[Compared], arms: Iterable[Arm]) -> tuple[Compared, ...]:
    """The arms with their gains against their controls."""
    cells = {one.name: {cell.seed: 100 * cell.test.top1 for cell in one.cells} for one in found}
    controls = {arm.name: arm.control for arm in arms}
    return tuple(one.model_copy(update={"gain": _gain(cells, one.name, controls[one.name])}) for one in found)


def _gain(cells: Mapping[str, Mapping[int, float]], name: str, control: str | None) -> Gain | None:
    paired = paired_interval(cells[name], cells[control]) if control else None
    if control is None or paired is None:
        return None
    points, interval, seeds = paired
    return Gain(control=control, seeds=seeds, points=points, interval=interval)


def with_tradeoffs(found: Sequence[Compared], teachers: Mapping[str, TeacherResult]) -> tuple[Compared, ...]:
    """The arms with what each loses and saves against its teacher, and their ranks among that teacher's students."""
    tradeoffs = {
        one.name: _tradeoff(one.accuracy, one.costs, teachers[one.teacher])
        for one in found
        if one.accuracy is not None and one.costs is not None
    }
    for model in teachers:
        names = [one.name for one in found if one.teacher == model and one.name in tradeoffs]
        for name, rank in zip(names, pareto_ranks([_axes(tradeoffs[name]) for name in names]), strict=True):
            tradeoffs[name] = tradeoffs[name].model_copy(update={"pareto_rank": rank})
    return tuple(one.model_copy(update={"tradeoff": tradeoffs.get(one.name)}) for one in found)


def _tradeoff(accuracy: float, costs: Costs, teacher: TeacherResult) -> Tradeoff:
    drop = 100 * (teacher.test.top1 - accuracy)
    latency = costs.latency.estimate if costs.latency else None
    return Tradeoff(
        drop_points=drop,
        parameter_ratio=costs.nonzero / teacher.costs.nonzero,
        transfer_ratio=costs.transfer_bytes / teacher.costs.transfer_bytes,
        latency_ratio=latency,
        pareto_rank=1,
        score=-math.log2(latency) - drop if latency else None,
    )


def _axes(of: Tradeoff) -> tuple[float, ...]:
    """Less is better on each; what wasn't measured is the same for all."""
    return of.drop_points, of.transfer_ratio, of.latency_ratio or 0.0
