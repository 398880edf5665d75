"""The plots of a study, as PNG files; needs matplotlib."""

import io
from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edgekd.studies._results import Compared, Costs, StudyResult

Points = Sequence[tuple[float, float]]

_MARKERS = "osD^vP<>X*pH8d"


def accuracy_against_parameters(result: StudyResult) -> bytes:
    """Test accuracy against the parameters that aren't zero; nothing where there is no accuracy."""
    return _accuracy_against(result, "parameters that aren't zero", lambda costs: costs.nonzero)


def accuracy_against_latency(result: StudyResult) -> bytes:
    """Test accuracy against the median latency; nothing where it wasn't measured."""
    return _accuracy_against(result, f"median latency in ms on {result.device}", lambda costs: costs.median_ms)


def features(projections: Mapping[str, tuple[Points, Sequence[int]]]) -> bytes:
    """Features of test images in each network's plane of most variance, coloured by class; nothing without any."""
    if not projections:
        return b""
    columns = min(4, len(projections))
    rows = -(-len(projections) // columns)
    figure = Figure(figsize=(3 * columns, 3 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes in grid[len(projections) :]:
        axes.set_axis_off()
    for axes, (name, (points, labels)) in zip(grid, projections.items(), strict=False):
        axes.scatter(*zip(*points, strict=True), c=labels, s=6, cmap="tab10" if max(labels) < 10 else "viridis")
        axes.set_title(name, fontsize=8)
        axes.set_xticks([])
        axes.set_yticks([])
    return _png(figure)


def _accuracy_against(result: StudyResult, label: str, cost: Callable[[Costs], float | None]) -> bytes:
    shown = [arm for arm in result.arms if arm.accuracy is not None and arm.costs and cost(arm.costs)]
    if not shown:
        return b""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for number, arm in enumerate(shown):
        _arm(axes, arm, cost, _MARKERS[number % len(_MARKERS)], f"C{number % 10}")
    for number, teacher in enumerate(result.teachers):
        if own := cost(teacher.costs):
            label_of = f"teacher {teacher.model}"
            axes.scatter(own, 100 * teacher.test.top1, marker="*", s=160, color=f"{0.3 * number:.1f}", label=label_of)
    axes.set_xlabel(label)
    axes.set_ylabel("test accuracy in %, mean ± sd over the seeds")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=6)
    return _png(figure)


def _arm(axes: Axes, arm: Compared, cost: Callable[[Costs], float | None], marker: str, colour: str) -> None:
    assert arm.accuracy is not None
    assert arm.costs is not None
    deviation = 100 * arm.deviation if arm.deviation is not None else None
    x = cost(arm.costs)
    axes.errorbar(
        [x or 0], [100 * arm.accuracy], yerr=deviation, fmt=marker, ms=5, color=colour, capsize=2, label=arm.name
    )


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    return content.getvalue()
