"""What all values have in common, and their kinds of numbers."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from edgekd.visible import visible_name

_MOST = 2**63 - 1  # as in TOML; more isn't a number of bytes or cores, and doesn't go into a float

# strict: a number in quotes, or true, is a mistake in a TOML file, not a number
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
PositiveInt = Annotated[int, Field(gt=0, le=_MOST, strict=True)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
NonNegativeInt = Annotated[int, Field(ge=0, le=_MOST, strict=True)]
Milliseconds = NonNegative
Fraction = Annotated[float, Field(ge=0, le=1, strict=True)]


Name = Annotated[str, BeforeValidator(lambda name: visible_name(name) if isinstance(name, str) else name)]
"""Of a file, a tensor …: what doesn't show in it is written out, so that any text and document can hold it."""


class Value(BaseModel):
    """A frozen value; an unknown field is an error."""

    # validators are built when first used: most commands need few of them
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Reference(Value):
    """A published figure for a device: context for the reader, never a limit."""

    what: str
    """What was measured."""
    value: str
    """The figure, with its unit."""
    source: str
    """Where it was published."""
    conditions: str = ""
    """How it was measured."""
    date: str = ""
    """When it was published or read, such as 2023-09."""


class Interval(Value):
    """An estimate with the two-sided confidence interval around it."""

    estimate: float
    low: float
    high: float
    confidence: Fraction = 0.95


def document(value: Value) -> dict[str, Any]:
    """The JSON document of a value."""
    return value.model_dump(mode="json")
