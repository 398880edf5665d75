"""Which of a target's variants can be written and run, by the device or by this machine, and why the others can't."""

import importlib.util
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgekd import catalog
from edgekd.deploy.writers._base import WRITERS
from edgekd.errors import DeviceError, EdgekdError
from edgekd.runtimes._base import RUNTIMES
from edgekd.values import DeviceFacts, Target, Variant
from edgekd.values.result import Dropped
from edgekd.variants import complete, require_settings, settle

Install = Callable[[str], str | None]
"""What installs a runtime on the device, as `Device.install_command`."""


@dataclass(frozen=True)
class Deployable:
    """A target's variants."""

    variants: tuple[Variant, ...]
    """Those in which networks are deployed, the preferred ones first."""
    left_out: tuple[Dropped, ...]
    """The others, by the variant's name, with the reason."""


def deployable(target: Target, facts: DeviceFacts | None = None, install: Install = lambda runtime: None) -> Deployable:
    """Which of the target's variants can be written, and run by the device, or by this machine for None.

    Args:
        target: of the device.
        facts: the device's.
        install: what installs a runtime there, which is added to the reasons.
    """
    reasons = [(variant, why_not(variant, facts)) for variant in target.variants]
    return _divided([(variant, why and f"{why}{_remedy(variant, facts, install)}") for variant, why in reasons])


def notes(left_out: Sequence[Dropped]) -> list[str]:
    """A sentence for each reason, which names the variants that are left out for it."""
    whys = dict.fromkeys(gone.why for gone in left_out)
    names = {why: [gone.name for gone in left_out if gone.why == why] for why in whys}
    return [f"{', '.join(of)} {'are' if len(of) > 1 else 'is'} left out: {why}" for why, of in names.items()]


def _remedy(variant: Variant, facts: DeviceFacts | None, install: Install) -> str:
    missing = facts is not None and facts.unavailable.get(variant.runtime, "").startswith("not installed")
    # what this machine lacks isn't installed there
    command = install(variant.runtime) if missing and unwritable(variant) is None else None
    return f"; install it there: {command}" if command else ""


def _divided(reasons: Sequence[tuple[Variant, str | None]]) -> Deployable:
    return Deployable(
        variants=tuple(settle(variant) for variant, why in reasons if why is None),
        left_out=tuple(Dropped(name=variant.name, why=why) for variant, why in reasons if why is not None),
    )


def writable(target: Target) -> Deployable:
    """Which of the target's variants can be written, whether or not anything here can run them."""
    return _divided([(variant, unwritable(variant)) for variant in target.variants])


def why_not(variant: Variant, facts: DeviceFacts | None = None) -> str | None:
    """Why a network can't be written for a variant, or not be run in it by the device, or by this machine for None."""
    return unwritable(variant) or (not_run_here(variant) if facts is None else _not_run_there(variant, facts))


def unwritable(variant: Variant) -> str | None:
    """Why a network can't be written for a variant; None if it can."""
    for kind in (RUNTIMES, WRITERS):
        if variant.runtime not in catalog.names(kind):
            return f"edgekd has no {kind.noun} for {variant.runtime}"
    written = catalog.load(WRITERS, variant.runtime).precisions
    if variant.precision not in written:
        return f"the writer for {variant.runtime} has no {variant.precision}, only {', '.join(written)}"
    library = written[variant.precision].library
    if library and importlib.util.find_spec(library) is None:
        missing = catalog.not_installed(library)
        return f"{missing.message}: {missing.hint}"
    return None


def not_run_here(variant: Variant) -> str | None:
    """Why this machine can't run a variant; None if it can."""
    runtime = catalog.load(RUNTIMES, variant.runtime)
    try:
        runtime.describe()
        reported: Mapping[str, Any] = getattr(runtime, "capabilities", dict)()
    except ImportError:
        command = catalog.installing(variant.runtime)
        return f"{variant.runtime} is not installed{f': {command}' if command else ''}"
    except EdgekdError as e:
        return f"{e.message}: {e.hint}"
    except Exception as e:  # of a library that is installed and doesn't work here, such as TensorRT without a GPU
        return f"{variant.runtime} doesn't work here: {e}"
    return _not_among(
        reported.get("precisions", ()), variant, f"{variant.runtime} has no {variant.precision} on this machine"
    )


def _not_run_there(variant: Variant, facts: DeviceFacts) -> str | None:
    found = facts.runtimes.get(variant.runtime)
    if found is None:
        return f"{variant.runtime} is not on the device: {facts.unavailable.get(variant.runtime, 'not asked for')}"
    threads, cpus = complete(variant).get("threads"), facts.host.cores
    if isinstance(threads, int) and 0 < cpus < threads:
        return f"it takes {threads} threads, and the device has {cpus} CPU{'s' if cpus != 1 else ''}"
    what = f"{variant.runtime} {found.version} has no {variant.precision} on the device"
    return _not_among(found.precisions, variant, what)


def _not_among(precisions: Collection[str], variant: Variant, what: str) -> str | None:
    """`what`, and the precisions, if a runtime reports some and the variant's isn't one of them."""
    return f"{what}, only {', '.join(precisions)}" if precisions and variant.precision not in precisions else None


def reference(target: Target, facts: DeviceFacts | None = None) -> Variant:
    """The variant of the original network that drops and ratios refer to: the target's.

    Without a device nothing is measured, and accuracies alone are compared. Where this machine can't run the target's
    reference, the first variant that it can run in the same precision stands in for it.
    """
    wanted = target.reference
    if facts is None and unwritable(wanted) is None and not_run_here(wanted) is not None:
        same = (variant for variant in deployable(target).variants if variant.precision == wanted.precision)
        return next(same, settle(wanted))
    return settle(wanted)


def require_reference(
    target: Target, facts: DeviceFacts | None = None, install: Install = lambda runtime: None
) -> None:
    """Raises EdgekdError if networks can't be deployed in the variant that drops and ratios refer to, or a variant has
    a setting that its runtime does not have; DeviceError if the device lacks the runtime.

    Args:
        target: of the device.
        facts: the device's; None: this machine runs the files.
        install: what installs a runtime on the device, for the hint.
    """
    require_settings(target)
    wanted = target.reference
    why = unwritable(wanted) or why_not(reference(target, facts), facts)
    if not why:
        return
    others = ", ".join(variant.name for variant in deployable(target, facts).variants)
    where = "here" if facts is None else "on the device"
    instead = f"Name another variant in its [reference]; those that can be deployed {where}: {others or 'none'}."
    message = f"target {target.name}: its reference is {wanted.name}, and {why}"
    if facts is None or unwritable(wanted) or wanted.runtime in facts.runtimes:
        raise EdgekdError(message, instead)
    command = install(wanted.runtime)
    if command and others:
        raise DeviceError(message, f"{instead} Or install {wanted.runtime} there: {command}")
    installing = f"Install it there: {command}" if command else ""
    raise DeviceError(message, installing or (instead if others else f"Give a device that has {wanted.runtime}."))
