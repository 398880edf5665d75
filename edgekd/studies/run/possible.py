"""What of a study is possible where nothing can be measured."""

from collections.abc import Sequence

from edgekd.studies._base import Arm


def without_device(arms: Sequence[Arm], target: str) -> tuple[tuple[Arm, ...], tuple[str, ...]]:
    """The arms that can be made without a device, and why the others are left out.

    An arm that should be as fast as one that is left out has its `latency_ratio` instead; it trains for the scale's
    epochs, and has no control.
    """
    out = {arm.name: arm for arm in arms if arm.is_planned}
    left = tuple(_without(arm, out) for arm in arms if arm.name not in out)
    why = f"its search plans by the latency, and there is no device of target {target}"
    return left, tuple(f"{name}: left out: {why}" for name in out)


def _without(arm: Arm, out: dict[str, Arm]) -> Arm:
    changes: dict[str, object] = {
        key: None for key in ("control", "as_fast_as", "as_long_as") if getattr(arm, key) in out
    }
    if "as_fast_as" in changes:
        changes["latency_ratio"] = out[str(arm.as_fast_as)].latency_ratio
    return arm.model_copy(update=changes)
