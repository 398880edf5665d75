"""How a limit of a budget to start from is written: what was measured with some headroom, rounded up."""

import json
from collections.abc import Iterator, Sequence
from decimal import ROUND_CEILING, Context
from statistics import median

from edgekd.measuring.statistics import samples_needed, upper_bound

_UP = Context(prec=3, rounding=ROUND_CEILING)


def once_a_launch(
    table: str, key: str, what: str, found: Sequence[float], headroom: float, *, confidence: float = 0.95
) -> Iterator[str]:
    """The lines of a limit on what each launch has one of, if the launches are enough to bound their median."""
    bound, needed = upper_bound(found, 50, confidence), samples_needed(50, confidence)
    if bound:
        yield f"\n[{table}] # {what}, median over launches"
        yield f"{key} = {rounded_up(bound * headroom)} # measured {median(found):.4g}, at most {bound:.4g}"
    elif bound is None:
        yield f"\n# [{table}] {key}: {what}; to limit it, measure in {needed} launches, not {len(found)}"


def rounded_up(value: float) -> str:
    """A number to three digits that isn't below the value."""
    return f"{_UP.create_decimal_from_float(value):f}"


def rounded_up_bytes(value: float) -> str:
    """A whole number, three digits of which aren't 0, that isn't below the value."""
    return f"{int(_UP.create_decimal_from_float(value).to_integral_value(ROUND_CEILING)):_}"


def toml_string(text: str) -> str:
    """A TOML basic string: as JSON's, but for DEL, which TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
