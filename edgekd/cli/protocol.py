"""The measuring protocol and the settings of the runtime as the command line states them."""

from typing import TYPE_CHECKING, Any

from edgekd.errors import EdgekdError

if TYPE_CHECKING:
    from edgekd.values import MeasuringProtocol, Setting


def settings(**given: Any) -> "dict[str, Setting]":
    """The settings of the runtime that were given on the command line.

    Raises:
        EdgekdError: the value of an option is wrong.
    """
    found = {key: value for key, value in given.items() if value is not None}
    if "provider_options" in found:
        if "provider" not in found:
            raise EdgekdError("--provider-option without --provider", "Name the provider with --provider.")
        found["provider_options"] = dict(_pair("--provider-option", text) for text in found["provider_options"])
    return found


def protocol(stated: "MeasuringProtocol | None" = None, **given: Any) -> "MeasuringProtocol":
    """The measuring protocol: the stated one, or the usual one, with what was given on the command line.

    Raises:
        EdgekdError: the value of an option is wrong.
    """
    from pydantic import ValidationError

    from edgekd.values import MeasuringProtocol

    stated = stated or MeasuringProtocol()
    given = {key: value for key, value in given.items() if value is not None}
    if "cadence_hz" in given:
        given["loop"] = "paced"
    if "transfers" in given:
        given["transfers"] = "included" if given["transfers"] else "excluded"
    if "affinity" in given:
        given["affinity"] = _numbers("--affinity", given["affinity"], ",")
    if "shapes" in given:
        given["shapes"] = dict(_shape(text) for text in given["shapes"])
    try:
        # a value that nobody stated stays unset: a batch size, for example, is required of a model only if it is stated
        return MeasuringProtocol.model_validate({**stated.model_dump(mode="json", exclude_unset=True), **given})
    except ValidationError as e:
        problem = e.errors()[0]
        option = "--" + "-".join(map(str, problem["loc"])).replace("_", "-")
        raise EdgekdError(f"{option}: {problem['msg']}", "See `edgekd profile --help`.") from e


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    """`image=1x3x224x224`; the name may be left out where a model has one input."""
    name, _, sizes = text.rpartition("=")
    return name, tuple(_numbers("--shape", sizes, "x"))


def _numbers(option: str, text: str, separator: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(separator)]
    except ValueError as e:
        example = "image=1x3x224x224" if separator == "x" else "0,1"
        raise EdgekdError(f"{option} {text}: not whole numbers", f"Write, for example, {option} {example}") from e
    least = 1 if separator == "x" else 0
    if min(numbers) < least:
        raise EdgekdError(f"{option} {text}: the least is {least}", "Correct the number.")
    return numbers


def _pair(option: str, text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise EdgekdError(f"{option} {text}: not KEY=VALUE", f"Write, for example, {option} device_id=0")
    return key, value
