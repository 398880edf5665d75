"""A document as keys with values, one per line."""

from collections.abc import Iterator


def flat(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Each key of a document with its value as text; those of tables within tables are joined by dots."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from flat(inner, f"{key}.{name}" if key else name)
    elif isinstance(value, list | tuple) and any(isinstance(item, dict) for item in value):
        for number, inner in enumerate(value, 1):
            yield from flat(inner, f"{key}.{number}")
    elif isinstance(value, list | tuple):
        yield key, ", ".join(map(str, value)) or "none"
    else:
        yield key, str(value)
