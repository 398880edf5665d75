"""Limits on what is counted: bytes of files, nodes of the graph, right answers on a test set."""

from collections import Counter

from edgekd.gate.evidence import Limit, counted, elsewhere_than, unmeasured
from edgekd.measuring.nodes import fallen_back
from edgekd.values import Accuracy, LimitVerdict, Measurement

_OPERATORS_NAMED = 3


def size(name: str, what: str, found: int, limit: int) -> LimitVerdict:
    """Bytes of a file."""
    return counted(Limit(name, what, limit, "bytes"), found, f"{what} {found:,} bytes")


def engine(measurement: Measurement, engine_bytes: int) -> LimitVerdict:
    """Bytes of the engine that the device built from the file."""
    limit = Limit("size.engine_bytes", "engine", engine_bytes, "bytes")
    if elsewhere := elsewhere_than(limit, measurement):
        return elsewhere
    if measurement.engine_bytes is None:
        return unmeasured(limit, "none was built or seen")
    return counted(limit, measurement.engine_bytes, f"engine {measurement.engine_bytes:,} bytes")


def fallback(measurement: Measurement, max_nodes: int) -> LimitVerdict:
    """Nodes of the optimised graph that another provider than the first ran."""
    limit = Limit("fallback.max_nodes", "fallback", max_nodes, "nodes")
    if elsewhere := elsewhere_than(limit, measurement):
        return elsewhere
    if measurement.trace is None:
        return unmeasured(limit, "the nodes weren't traced")
    first, nodes = measurement.environment.provider, measurement.trace.nodes
    fallen = Counter(node.op for node in fallen_back(measurement.trace, first))
    evidence = f"{fallen.total():,} of {len(nodes):,} nodes not on {first}{_operators(fallen)}"
    return counted(limit, fallen.total(), evidence)


def accuracy(found: Accuracy | None, min_top1: float) -> LimitVerdict:
    """Top-1 accuracy on the test set."""
    limit = Limit("accuracy.min_top1", "top-1 accuracy", min_top1)
    if found is None:
        return unmeasured(limit, "none in this measurement")
    evidence = f"{limit.what} {found.top1:.4f} {_images(found)}"
    return counted(limit, found.top1, evidence, within=found.top1 >= min_top1)


def accuracy_drop(found: Accuracy | None, baseline: Accuracy | None, max_drop_pp: float) -> LimitVerdict:
    """Percentage points of top-1 accuracy lost against the baseline on the same images."""
    limit = Limit("accuracy.max_drop_pp", "top-1 accuracy lost", max_drop_pp, "points")
    if found is None or baseline is None:
        whose = "this measurement" if found is None else "the baseline"
        return unmeasured(limit, f"{whose} has no accuracy")
    if (found.dataset, found.split, found.images) != (baseline.dataset, baseline.split, baseline.images):
        return unmeasured(limit, f"measured {_images(found)}, but the baseline {_images(baseline)}")
    drop = 100 * (baseline.correct - found.correct) / found.images
    change = f"{100 * baseline.top1:.2f} % to {100 * found.top1:.2f} %"
    moved = f"lost {drop:.2f}" if drop >= 0 else f"gained {-drop:.2f}"
    return counted(limit, drop, f"top-1 accuracy {moved} points ({change}) {_images(found)}")


def _operators(fallen: Counter[str]) -> str:
    """The operators that fell back most often."""
    if not fallen:
        return ""
    most = ", ".join(f"{op} × {count}" for op, count in fallen.most_common(_OPERATORS_NAMED))
    return f" ({most}{', …' if len(fallen) > _OPERATORS_NAMED else ''})"


def _images(accuracy: Accuracy) -> str:
    return f"on {accuracy.images:,} images of {accuracy.dataset} {accuracy.split}"
