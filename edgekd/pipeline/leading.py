"""Leading: the variants in which pruned candidates are written and measured; a trained student has all again."""

from edgekd.deploy.writers._base import integers
from edgekd.values import Variant
from edgekd.values.result import Deployed


def leading(deployed: Deployed, reference: Variant) -> tuple[Variant, ...]:
    """Of each runtime the original's fastest variant in floats and in integers, and the reference.

    Every candidate is written in each of them, which takes up to a minute where a library quantises. All of the
    original's variants, if they didn't race.
    """
    variants = [checked.artifact.variant for checked in deployed.artifacts]
    if not deployed.raced:
        return tuple(variants)
    best: dict[tuple[str, bool], Variant] = {}
    # one whose layers the device's times chose didn't race, and is faster than those of its runtime that did
    for variant in sorted(variants, key=lambda one: deployed.raced.get(one.name, 0.0)):
        best.setdefault((variant.runtime, integers(variant.runtime, variant.precision)), variant)
    return tuple(variant for variant in variants if variant in best.values() or variant == reference)
