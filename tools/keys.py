"""The keys of a value as tables of Markdown, with what their docstrings say; for `reference.py`."""

import ast
import inspect
import itertools
import textwrap
from collections.abc import Iterator
from typing import Annotated, Any, get_args

from pydantic import TypeAdapter
from pydantic_core import PydanticUndefined

from edgekd.values import Value

Rows = Iterator[str]


def table(kind: type[Value], title: str, path: str = "", usual: Value | None = None) -> Rows:
    """The keys of a table, then those of the tables in it; the defaults are those of `usual` if it is given."""
    yield f"## {f'`[{path}]`' if path else f'The {title}'}\n{text(kind)}\n"
    yield from keys(kind, usual)
    yield ""
    for key, field in kind.model_fields.items():
        if inner := _inner(field.annotation):
            inside = f"{path}.{key}".lstrip(".")
            usual = field.default if isinstance(field.default, inner) else None
            yield from table(inner, key, f"[{inside}]" if "tuple" in str(field.annotation) else inside, usual)


def keys(kind: type[Value], usual: Value | None = None) -> Rows:
    said = _docstrings(kind)
    yield "| key | values | default | means |\n|---|---|---|---|"
    for key, field in kind.model_fields.items():
        value = getattr(usual, key) if usual else field.get_default(call_default_factory=True)
        default = "required" if field.is_required() else shown(value)
        inner = _inner(field.annotation)
        means = said.get(key) or (" ".join(text(inner).partition("\n\n")[0].split()) if inner else "")
        yield f"| `{key}` | {_values(field)} | {default} | {means} |"


def inline(kind: type[Value]) -> str:
    said = _docstrings(kind)
    found = [
        f"`{key}` = {shown(field.default) or 'None'}{': ' + said[key].rstrip('.') if key in said else ''}"
        for key, field in kind.model_fields.items()
    ]
    return "; ".join(found) or "none"


def _values(field: Any) -> str:
    """What a key takes, in words."""
    schema = TypeAdapter(Annotated[field.annotation, *field.metadata, None]).json_schema()
    return _words(schema, schema.get("$defs", {}))


def _words(schema: dict[str, Any], defs: dict[str, Any]) -> str:
    if "$ref" in schema:
        found = defs[schema["$ref"].rpartition("/")[2]]
        return "table" if found.get("type") == "object" else _words(found, defs)
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_words(one, defs) for one in schema["anyOf"] if one.get("type") != "null"))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{one}`".replace("`False`", "`false`") for one in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_words(schema.get('items', {}), defs)}" if schema.get("items") else "list"
    names = {
        "integer": "whole number",
        "number": "number",
        "string": "text",
        "boolean": "true or false",
        "object": "table",
    }
    bounds = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}
    limits = [f"{sign} {schema[key]:g}" for key, sign in bounds.items() if key in schema and abs(schema[key]) < 1e18]
    return " ".join([names.get(schema.get("type", ""), "any"), *limits])


def shown(value: Any) -> str:
    if value is None or value is PydanticUndefined or isinstance(value, Value):
        return ""
    if isinstance(value, tuple):
        return ", ".join(f"`{getattr(one, 'do', one)}`" for one in value) or "none"
    if value in ({}, "", ()):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _inner(annotation: Any) -> type[Value] | None:
    """The kind of table that a key holds."""
    if inspect.isclass(annotation) and issubclass(annotation, Value):
        return annotation
    return next(filter(None, map(_inner, get_args(annotation))), None)


def _docstrings(kind: type[Value]) -> dict[str, str]:
    """The docstring below each field, of the class and of those that it extends, in one line."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if not issubclass(each, Value) or each is Value:
            continue
        try:
            body = ast.parse(textwrap.dedent(inspect.getsource(each))).body[0].body  # type: ignore[attr-defined]
        except (OSError, TypeError):
            continue  # made at run time, of a class that was read
        for field, said in itertools.pairwise(body):
            match field, said:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = " ".join(text.split()).replace("|", "\\|")
    return found


def text(found: Any) -> str:
    """A docstring."""
    return (inspect.getdoc(found) or "").strip()
