"""The settings of a variant, held against those that its runtime declares; which variants of a target edgekd has."""

from collections.abc import Mapping
from typing import Any

from edgekd import catalog
from edgekd.errors import EdgekdError
from edgekd.runtimes._base import RUNTIMES
from edgekd.runtimes._base import Setting as RuntimeSetting
from edgekd.values import Setting, Target, Variant

PRECISION = "precision"
"""The setting of runtimes that take a file's inference precision; it follows from the variant and is never stated."""

INTEGERS = "int8"
"""The precision that a file with integers is said to have by itself."""

_LEAST = {"count": 1, "index": 0}
_KINDS: dict[str, type] = {"count": int, "index": int, "switch": bool, "text": str, "options": dict}
_WORDS = {"true": True, "false": False}
_SHOULD_BE = {
    "count": "a whole number from 1",
    "index": "a whole number from 0",
    "switch": "true or false",
    "text": "text",
    "options": "a table of texts",
}


def settle(variant: Variant) -> Variant:
    """The same variant, without settings that are the runtime's defaults: two that run alike are equal.

    Raises:
        EdgekdError: edgekd has no such runtime, or the runtime has no such setting, or it doesn't hold such a value.
    """
    known = {name: setting for name, setting in _declared(variant.runtime).items() if name != PRECISION}
    for name, value in variant.settings.items():
        if name not in known:
            raise EdgekdError(f"{variant.runtime} has no setting {name!r}", catalog.nearest(name, known))
        kind = known[name]["kind"]
        if type(value) is not _KINDS[kind] or (isinstance(value, int) and value < _LEAST.get(kind, 0)):
            what = f"{variant.runtime}'s setting {name} should be {_SHOULD_BE[kind]}, not {value!r}"
            raise EdgekdError(what, "Correct it.")
    differing = {name: value for name, value in variant.settings.items() if value != known[name]["default"]}
    return variant.model_copy(update={"settings": dict(sorted(differing.items()))})


def require_settings(target: Target) -> None:
    """Raises EdgekdError where a variant of the target states a setting that its runtime does not have; what the
    settings of a runtime are that edgekd does not have isn't known.
    """
    for variant in (target.reference, *target.variants):
        if variant.settings and variant.runtime in catalog.names(RUNTIMES):
            try:
                settle(variant)
            except EdgekdError as e:
                raise EdgekdError(f"target {target.name}: {e.message}", e.hint) from e


def complete(variant: Variant) -> dict[str, Setting | None]:
    """All settings of the variant's runtime by name, the defaults included. Raises as `settle`.

    A runtime with a setting `precision` gets the variant's: it runs the same file in one precision or another.
    """
    declared = _declared(variant.runtime)
    defaults = {name: setting["default"] for name, setting in declared.items()}
    return {**defaults, **settle(variant).settings, **({PRECISION: variant.precision} if PRECISION in declared else {})}


def preferred(target: Target, precision: str | None = None, format: str = "onnx") -> Variant:
    """The target's first variant that edgekd has a runtime for, of that precision where there is one.

    Args:
        target: whose variants these are.
        precision: of a file; None: any.
        format: of the file, which the runtime opens.

    Raises:
        EdgekdError: edgekd has none of the target's runtimes, or not such settings; or none of them opens the file.
    """
    known = catalog.names(RUNTIMES)
    able = [variant for variant in target.variants if variant.runtime in known]
    if not able:
        lacking = ", ".join(target.runtimes)
        hint = catalog.nearest(target.runtimes[0], known)
        raise EdgekdError(f"target {target.name}: edgekd has none of its runtimes: {lacking}", hint)
    able = [variant for variant in able if _opens(variant.runtime, format)]
    if not able:
        others = ", ".join(name for name in known if _opens(name, format))
        what = f"target {target.name}: none of its runtimes opens {format} files"
        raise EdgekdError(what, f"Give --variant with a runtime that does: {others}.")
    found = next((variant for variant in able if precision is None or _holds(variant, precision)), None)
    return settle(found or able[0].model_copy(update={"precision": precision}))


def of_file(target: Target, name: str, precision: str, format: str = "onnx") -> Variant:
    """The variant of that name, for a file that computes in `precision` by itself.

    Args:
        target: whose variants are known by name.
        name: one of them, or a runtime, its precision if it isn't the file's, and its settings, such as
            `onnxruntime:threads=2,spinning=false` or `openvino-bf16`.
        precision: the file's.
        format: the file's.

    Raises:
        EdgekdError: there is no such variant, or its runtime can't open the file, or not run it in the variant's
            precision.
    """
    named = next((variant for variant in target.variants if variant.name == name), None)
    found = named or _stated(name, precision)
    if found is None or (named is None and not _runs(found, precision)):
        hint = catalog.nearest(name, [variant.name for variant in target.variants])
        raise EdgekdError(f"target {target.name} has no variant {name!r}", hint)
    if not _opens(found.runtime, format):
        what = f"{found.runtime} doesn't open {format} files"
        raise EdgekdError(what, "Give another --variant, or the file that edgekd wrote for this one.")
    if not _runs(found, precision):
        raise EdgekdError(f"the model computes in {precision}, which {name} does not run", "Give another --variant.")
    return settle(found)


def _opens(runtime: str, format: str) -> bool:
    return runtime in catalog.names(RUNTIMES) and format in catalog.load(RUNTIMES, runtime).formats


def _runs(variant: Variant, precision: str) -> bool:
    """Whether the variant's runtime can run a file that computes in `precision` by itself in the variant's precision:
    integers must be in the file, but the floating-point precision may be a setting of the runtime.
    """
    stated = PRECISION in _declared(variant.runtime) and precision == "fp32" and not variant.quantised
    return _holds(variant, precision) or stated


def _holds(variant: Variant, precision: str) -> bool:
    """Whether a file of the variant computes in `precision` by itself: any file with integers is said to be int8. After
    a - stands another way to write the same.
    """
    return precision in ((INTEGERS,) if variant.quantised else (variant.precision, variant.precision.partition("-")[0]))


def _stated(text: str, precision: str) -> Variant | None:
    """What a text states of a runtime that edgekd has; None if it names no such runtime."""
    head, _, parts = text.partition(":")
    runtime, _, stated = head.partition("-")
    if runtime not in catalog.names(RUNTIMES):
        return None
    settings: dict[str, Any] = {}
    for part in parts.split(",") if parts else ():
        _state(settings, part, text, _declared(runtime))
    return Variant(runtime=runtime, precision=stated or precision, settings=settings)


def _state(settings: dict[str, Any], part: str, text: str, known: Mapping[str, RuntimeSetting]) -> None:
    """Add `threads=2` or, of a table, `provider_options.KEY=VALUE`."""
    name, equals, value = part.partition("=")
    name, _, option = name.partition(".")
    kind = known[name]["kind"] if name in known else "text"
    if not equals or bool(option) != (kind == "options"):
        example = f"{name}.KEY=VALUE" if kind == "options" else "threads=2"
        raise EdgekdError(f"variant {text}: {part!r} is not a setting with a value", f"Write it like {example}.")
    if kind == "options":
        settings.setdefault(name, {})[option] = value
    elif kind in _LEAST:
        settings[name] = int(value) if value.isascii() and value.isdigit() else value
    else:
        settings[name] = _WORDS.get(value, value) if kind == "switch" else value


def _declared(runtime: str) -> Mapping[str, RuntimeSetting]:
    return catalog.load(RUNTIMES, runtime).SETTINGS
