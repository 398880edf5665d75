"""The options of `edgekd check` that write a verdict for a CI system: one for each format in `gate/ci/`."""

import ast
import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from edgekd import console
from edgekd.cli.panels import OUTPUT
from edgekd.errors import EdgekdError
from edgekd.gate import ci

if TYPE_CHECKING:
    from edgekd.gate.ci._base import Format
    from edgekd.gate.judge import Outcome

C = TypeVar("C", bound=Callable[..., int])

Given = Mapping[str, Path | bool | None]
"""What each option was given, by the name of its format."""


def with_formats(command: C) -> C:
    """The command, whose `**formats` are an option for each format.

    Their help is read from their sources: importing them for `--help` would take several times as long.
    """
    options = {source.stem: _annotation(source) for source in sorted(_sources())}
    signature = inspect.signature(command)
    stated = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in options.items()
    ]
    command.__signature__ = signature.replace(parameters=[*stated, *added])  # type: ignore[attr-defined]
    command.__annotations__.update({name: annotation for name, (annotation, _) in options.items()})
    return command


def write(outcomes: "Sequence[Outcome]", given: Given, *, tolerate: bool) -> None:
    """Write the verdicts in every format that was asked for: files, stderr, and files that the CI system names."""
    from edgekd.files import append_text, write_text
    from edgekd.gate.ci._base import Appending

    for name, format_ in _asked(given):
        where = given[name]
        written = format_.text(outcomes, tolerate=tolerate)
        if isinstance(where, Path):
            write_text(where, written)
        else:
            console.note(written.rstrip())
        if isinstance(format_, Appending):
            variable, more = format_.appended(outcomes, tolerate=tolerate)
            if named := os.environ.get(variable):
                append_text(Path(named), more)


@contextmanager
def announced(given: Given) -> Iterator[None]:
    """Tells the CI system what went wrong before there was a verdict."""
    from edgekd.gate.ci._base import Announcing

    try:
        yield
    except EdgekdError as e:
        for _, format_ in _asked(given):
            if isinstance(format_, Announcing):
                console.note(format_.failure(e.message, e.hint))
        raise


def _asked(given: Given) -> "Iterator[tuple[str, Format]]":
    from edgekd import catalog
    from edgekd.gate.ci._base import FORMATS

    for name, where in given.items():
        if where:
            yield name, catalog.load(FORMATS, name)


def _sources() -> Iterator[Path]:
    for folder in ci.__path__:
        yield from (source for source in Path(folder).glob("*.py") if not source.stem.startswith("_"))


def _annotation(source: Path) -> tuple[Any, Path | bool | None]:
    """The option of a format, and its default."""
    literals = _literals(source)
    option = "--" + source.stem.replace("_", "-")
    if literals["OPTION"] == "switch":
        return Annotated[bool, typer.Option(option, help=literals["HELP"], rich_help_panel=OUTPUT)], False
    file = typer.Option(option, metavar="FILE", help=literals["HELP"], rich_help_panel=OUTPUT)
    return Annotated[Path | None, file], None


def _literals(source: Path) -> dict[str, str]:
    """The texts that a module assigns to its constants."""
    found: dict[str, str] = {}
    for node in ast.parse(source.read_bytes()).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str):
            found[target.id] = value.value
    return found
