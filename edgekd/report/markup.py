"""HTML and SVG, in which all that isn't markup is shown as text, whatever is in it."""

from html import escape

_EMPTY = frozenset({"br", "link", "meta"})
"""Elements without an end."""


class Markup(str):
    """A text that is markup."""

    __slots__ = ()


def tag(name: str, /, *inside: str, **attributes: str | float | bool | None) -> Markup:
    """An element.

    Args:
        name: its name.
        inside: what is in it, one after the other.
        attributes: `class_` and `data_x` stand for `class` and `data-x`; True is one without a value, None and False
            are left out. Numbers get one decimal.
    """
    stated = "".join(_attribute(key, value) for key, value in attributes.items())
    return Markup(f"<{name}{stated}>" if name in _EMPTY else f"<{name}{stated}>{joined(*inside)}</{name}>")


def joined(*parts: str) -> Markup:
    """Markup and texts, one after the other."""
    return Markup("".join(part if isinstance(part, Markup) else escape(part, quote=False) for part in parts))


def _attribute(key: str, value: str | float | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    shown = value if isinstance(value, str) else f"{round(value, 1):g}"
    return f' {name}="{escape(shown)}"'
