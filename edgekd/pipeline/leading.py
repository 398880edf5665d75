"""Leading: the variants in which pruned candidates are written and measured; a trained student has all again."""

from collections.abc import Collection

from edgekd.deploy.writers._base import declared
from edgekd.values import Variant
from edgekd.values.result import Deployed


def leading(deployed: Deployed, reference: Variant, *, counted: Collection[str] | None = None) -> tuple[Variant, ...]:
    """Of each runtime the original's fastest variant in floats, in integers, and in both as the device's times chose;
    and the reference.

    Every candidate is written in each of them, which takes up to a minute where a library quantises. All of the
    original's variants, if they didn't race.

    Args:
        deployed: the original.
        reference: the target's.
        counted: the names of the variants that are left; None: none dropped out.
    """
    every = [checked.artifact.variant for checked in deployed.artifacts]
    variants = [one for one in every if counted is None or one.name in counted or one == reference]
    if not deployed.raced:
        return tuple(variants)
    best: dict[tuple[str, bool, bool], Variant] = {}
    for variant in sorted(variants, key=lambda one: deployed.raced.get(one.name, 0.0)):
        precision = declared(variant.runtime, variant.precision)
        kind = (precision.integers, precision.measured_layers) if precision else (False, False)
        best.setdefault((variant.runtime, *kind), variant)
    return tuple(variant for variant in variants if variant in best.values() or variant == reference)
