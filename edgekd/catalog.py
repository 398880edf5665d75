"""Finds a target, budget or plug-in by name or path; the only module that turns a name into a module."""

import difflib
import importlib
import pkgutil
import re
import reprlib
import sys
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

import edgekd
from edgekd import files, folders
from edgekd.errors import EdgekdError
from edgekd.values import Target, Value

V = TypeVar("V", bound=Value)
P = TypeVar("P")


@dataclass(frozen=True)
class Kind(Generic[P]):
    """A kind of plug-in, whose modules satisfy the protocol `P`.

    It stands beside its protocol, in a `_base.py`: `RUNTIMES = Kind[Runtime]("runtimes", "runtime")`. mypy holds every
    module of the package to the protocol (`tools/plug_ins.py`).
    """

    package: str
    """The package of its modules, below `edgekd`."""
    noun: str
    """What messages call one of them."""
    packages: bool = False
    """Whether a plug-in may also be a package, such as a runtime of several files."""


_LONGEST_TOML = 1_000_000
_MOST_PARTS = 100
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'')
_DECIMAL = re.compile(r"(?<![\w.-])[+-]?\d+\.\d+(?:[eE][+-]?\d+)?(?![\w.])")

# the extra that brings a library, by the name of its import
_EXTRAS = {
    "torch": "compress",
    "torchvision": "compress",
    "PIL": "export",
    "scipy": "compress",
    "torch_pruning": "compress",
    "safetensors": "compress",
    "onnxscript": "compress",
    "psutil": "compress",
    "tomli_w": "compress",
    "matplotlib": "report",
    "ncnn": "ncnn",
    "openvino": "openvino",
    "nncf": "openvino",
    "tensorrt_rtx": "trt-check",
    "tensorboard": "track",
    "mlflow": "track",
}


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint that names the known name closest to a wrong one, or all of them."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    listing = ", ".join(known)
    return f"Did you mean {close[0]!r}? Known: {listing}" if close else f"Known: {listing}"


def closest(name: str, known: Iterable[str], otherwise: str) -> str:
    """A hint that names those of very many known names that are close to a wrong one, or where there are none,
    `otherwise`.
    """
    close = difflib.get_close_matches(name, known, n=5)
    return f"Did you mean {', '.join(close)}?" if close else otherwise


def names(kind: Kind[Any]) -> list[str]:
    """The plug-ins of a kind, in alphabetical order: the public modules of its package, and packages in it if the kind
    has any.
    """
    found = importlib.import_module(f"edgekd.{kind.package}")
    modules = (m for m in pkgutil.iter_modules(found.__path__) if kind.packages or not m.ispkg)
    return sorted(m.name for m in modules if not m.name.startswith("_"))


def load(kind: Kind[P], name: str) -> P:
    """The plug-in of that name, imported. A hyphen in the name stands for an underscore in the file's.

    Raises:
        EdgekdError: there is no such plug-in, or a library it needs isn't installed.
    """
    module = name.replace("-", "_")
    if module not in names(kind):
        raise EdgekdError(f"no {kind.noun} {name!r}", nearest(name, names(kind)))
    found: Any = require(f"edgekd.{kind.package}.{module}")
    plug_in: P = found
    return plug_in


def require(module: str) -> ModuleType:
    """Import a module of edgekd's that needs an extra; a missing library names the extra that brings it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as e:
        missing = (e.name or "").partition(".")[0]
        if missing in ("", "edgekd"):
            raise
        raise not_installed(missing) from e


def not_installed(library: str) -> EdgekdError:
    """The error of a library that isn't installed, by the name of its import; the hint names the extra with it."""
    return EdgekdError(f"{library} isn't installed", installing(library) or f"pip install '{library}'")


def installing(library: str) -> str | None:
    """The command that installs edgekd with the extra that has a library, by the name of its import; None: none has."""
    extra = _EXTRAS.get(library)
    return f"pip install 'edgekd[{extra}]'" if extra else None


def function(spec: str, otherwise: str = "") -> Callable[..., Any]:
    """The user's own function that `package.module:name` names; the working folder is searched last.

    Args:
        spec: which.
        otherwise: what else could be meant, for the hint where there is no such module.

    Raises:
        EdgekdError: there is no such module or function, or importing the module fails.
    """
    name, _, attribute = spec.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        # last, so that a user's file can't take the place of a library
        sys.path.append(here)
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as e:
        if e.name != name and not name.startswith(f"{e.name}."):
            raise EdgekdError(f"importing {name} failed: {e}", f"Install {e.name}, or correct {name}.") from e
        hint = f"It is neither installed nor in {here}. {otherwise}".rstrip()
        raise EdgekdError(f"no module {name!r}", hint) from e
    except (Exception, SystemExit) as e:  # the user's own code may raise anything
        raise EdgekdError(f"importing {name} failed: {type(e).__name__}: {e}", f"Correct {name}.") from e
    found = getattr(module, attribute, None)
    if not callable(found):
        own = [n for n, value in vars(module).items() if callable(value) and not n.startswith("_")]
        raise EdgekdError(f"{name} has no function {attribute!r}", nearest(attribute, own))
    return found  # type: ignore[no-any-return]  # what a user's function returns is checked where it is called


def folder(kind: str) -> Path:
    """Where the shipped "targets" or "profiles" are: inside the wheel, or beside the package in a checkout."""
    package = Path(edgekd.__file__).parent
    inside = package / kind
    return inside if files.is_folder(inside) else package.parent / kind


def toml_files(kind: str) -> dict[str, Path]:
    """The shipped "targets" or "profiles" and the user's own, by name: the user's replace the shipped ones."""
    places = (folder(kind), *(config / kind for config in folders.configs()))
    return {f.stem: f for d in places if files.is_folder(d) for f in sorted(d.glob("*.toml"))}


def targets() -> list[Target]:
    """All targets, shipped and the user's own, by name."""
    return [read_toml(path, Target) for _, path in sorted(toml_files("targets").items())]


def target(name: str) -> Target:
    """The target of that name, of that family (its most common member), or in that file."""
    if path := as_path(name):
        return read_toml(path, Target)
    files = toml_files("targets")
    if name in files:
        return read_toml(files[name], Target)
    known = targets()
    for candidate in known:
        if candidate.family == name and candidate.family_default:
            return candidate
    families = {t.family for t in known if t.family}
    raise EdgekdError(f"no target {name!r}", nearest_or_file(name, families | set(files)))


def nearest_or_file(name: str, known: Iterable[str]) -> str:
    """As `nearest`; where a TOML file of that name is in the working folder, how that is given."""
    file = Path(f"{name}.toml")
    return f"For the file of that name, write {file}" if name and file.is_file() else nearest(name, known)


def as_path(name: str) -> Path | None:
    """The path that a user gave in place of a name, if it is one."""
    if not (name.endswith(".toml") or "/" in name or "\\" in name):
        return None
    return Path(name)


def read_toml(path: Path, kind: type[V], hint: str = "Give the path of a TOML file, or a name without slashes.") -> V:
    """A value from a TOML file; `hint` is the remedy where it can't be read.

    Raises:
        EdgekdError: the file is missing or isn't TOML, or a key is unknown, of the wrong type or out of range.
    """
    keys = toml_keys(path, hint)
    try:
        return kind.model_validate(keys)
    except ValidationError as e:
        raise EdgekdError(*explain(e, str(path), kind)) from e


def toml_keys(path: Path, hint: str) -> dict[str, Any]:
    """The keys of a user's TOML file.

    Raises:
        StorageError: it can't be read as text; `hint` is the remedy.
        EdgekdError: it isn't TOML, or can't be parsed in reasonable time and memory.
    """
    text = files.read_text(path, hint=hint, at_most=_LONGEST_TOML)
    for number, line in enumerate(text.splitlines(), 1):
        # each part of a key costs as much as all before it
        if line.count(".") > _MOST_PARTS and _DECIMAL.sub("", _QUOTED.sub("", line)).count(".") > _MOST_PARTS:
            message = f"{path}: line {number} has a key of more than {_MOST_PARTS} parts"
            raise EdgekdError(message, "The file seems damaged: correct it.")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        hint = "Correct that line." if "(at line" in str(e) else "A text, list or table isn't closed: close it."
        raise EdgekdError(f"{path}: not valid TOML: {e}", hint) from e
    except RecursionError as e:
        raise EdgekdError(f"{path}: nested too deeply", "The file seems damaged: correct it.") from e
    except ValueError as e:  # Python reads no number of thousands of digits
        raise EdgekdError(f"{path}: {str(e).partition(';')[0]}", "The file seems damaged: correct it.") from e


def explain(error: ValidationError, where: str, kind: type[Value]) -> tuple[str, str]:
    """The first problem of a validation error as (message, hint)."""
    problems = error.errors()
    # a misspelt key explains more than a missing one
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    location = [str(part) for part in problem["loc"]]
    key = ".".join(location)
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown key {key!r}", nearest(location[-1], _keys(kind, location[:-1]))
    if problem["type"] == "missing":
        return f"{where}: {key!r} is missing", "Add it."
    text = "should be a table" if problem["type"] == "model_type" else problem["msg"].removeprefix("Value error, ")
    given = f", not {reprlib.repr(problem['input'])}" if not isinstance(problem["input"], dict) else ""
    named = next((part for part in reversed(location) if not part.isdigit()), "the file")
    return f"{where}: {f'{key}: ' if key else ''}{text}{given}", f"Correct {named}."


def _keys(kind: type[Value], path: list[str]) -> list[str]:
    for part in path:
        annotation = kind.model_fields[part].annotation if part in kind.model_fields else None
        options = [annotation, *getattr(annotation, "__args__", ())]
        inner = [o for o in options if isinstance(o, type) and issubclass(o, Value)]
        if not inner:
            return list(kind.model_fields)
        kind = inner[0]
    return list(kind.model_fields)
