"""Which of a target's variants can be written and run here, and why the others can't."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgekd import catalog
from edgekd.deploy.writers._base import WRITERS
from edgekd.errors import EdgekdError
from edgekd.runtimes._base import RUNTIMES
from edgekd.values import Target, Variant
from edgekd.values.result import Dropped
from edgekd.variants import require_settings, settle


@dataclass(frozen=True)
class Deployable:
    """A target's variants."""

    variants: tuple[Variant, ...]
    """Those in which networks are deployed, the preferred ones first."""
    left_out: tuple[Dropped, ...]
    """The others, by the variant's name, with the reason."""


def deployable(target: Target) -> Deployable:
    """Which of the target's variants can be written and run here."""
    return _divided([(variant, why_not(variant)) for variant in target.variants])


def _divided(reasons: Sequence[tuple[Variant, str | None]]) -> Deployable:
    return Deployable(
        variants=tuple(settle(variant) for variant, why in reasons if why is None),
        left_out=tuple(Dropped(name=variant.name, why=why) for variant, why in reasons if why is not None),
    )


def writable(target: Target) -> Deployable:
    """Which of the target's variants can be written, whether or not they can be run here."""
    return _divided([(variant, unwritable(variant)) for variant in target.variants])


def why_not(variant: Variant) -> str | None:
    """Why a network can't be written for a variant, or run in it here; None if it can."""
    return unwritable(variant) or not_run_here(variant)


def unwritable(variant: Variant) -> str | None:
    """Why a network can't be written for a variant; None if it can."""
    for kind in (RUNTIMES, WRITERS):
        if variant.runtime not in catalog.names(kind):
            return f"edgekd has no {kind.noun} for {variant.runtime}"
    written = catalog.load(WRITERS, variant.runtime).tolerances
    if variant.precision not in written:
        return f"the writer for {variant.runtime} has no {variant.precision}, only {', '.join(written)}"
    return None


def not_run_here(variant: Variant) -> str | None:
    """Why this machine has no such runtime; None if it has."""
    try:
        catalog.load(RUNTIMES, variant.runtime).describe()
    except ImportError:
        return f"{variant.runtime} is not installed"
    except EdgekdError as e:
        return f"{e.message}: {e.hint}"
    return None


def require_reference(target: Target) -> None:
    """Raises EdgekdError if networks can't be deployed in the variant that drops and ratios refer to, or a variant has
    a setting that its runtime does not have.
    """
    require_settings(target)
    if why := why_not(target.reference):
        others = ", ".join(variant.name for variant in deployable(target).variants) or "none"
        raise EdgekdError(
            f"target {target.name}: its reference is {target.reference.name}, and {why}",
            f"Name another variant in its [reference]; those that can be deployed here: {others}.",
        )
