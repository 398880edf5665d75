"""Holds every plug-in to its protocol: a mypy plugin that writes a file in which each module is assigned to it.

A kind of plug-in is a line `NAME = Kind[Protocol]("package", "noun")`; its modules are the public files
of that package. Both are found by looking, so a new plug-in, or a new kind, is held without an edit. Run as a script,
it has mypy check the examples in docs/plug-ins.md in the same way.
"""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mypy.plugin import Plugin

ROOT = Path(__file__).parents[1]
WRITTEN = ROOT / ".mypy_cache" / "plug_ins.py"
"""Named in pyproject's `files`, so that mypy checks it."""
SHOWN = ROOT / ".mypy_cache" / "examples"


@dataclass(frozen=True)
class Found:
    """A kind of plug-in: where it stands, by what name, its protocol and its package."""

    base: str
    name: str
    protocol: str
    package: str
    modules: tuple[str, ...]


def kinds(root: Path = ROOT) -> Iterator[Found]:
    """All kinds, by place."""
    for path in sorted((root / "edgekd").rglob("*.py")):
        base, text = ".".join(path.relative_to(root).with_suffix("").parts), path.read_text(encoding="utf-8")
        for line in ast.parse(text).body if "Kind[" in text else ():
            match line:
                case ast.Assign(
                    targets=[ast.Name(id=name)],
                    value=ast.Call(
                        func=ast.Subscript(value=ast.Name(id="Kind"), slice=ast.Name(id=protocol)),
                        args=[ast.Constant(value=str(package)), *_],
                        keywords=keywords,
                    ),
                ):
                    packages = any(one.arg == "packages" for one in keywords)
                    yield Found(base, name, protocol, package, _modules(root, package, packages=packages))


def _modules(root: Path, package: str, *, packages: bool) -> tuple[str, ...]:
    folder = root / "edgekd" / package.replace(".", "/")
    found = [f.stem for f in folder.glob("*.py")] + [f.parent.name for f in folder.glob("*/__init__.py") if packages]
    return tuple(sorted(name for name in found if not name.startswith("_")))


def examples() -> dict[str, str]:
    """The modules that docs/plug-ins.md shows, by the package that each belongs to."""
    found = {}
    for section in re.split(r"^## ", (ROOT / "docs" / "plug-ins.md").read_text(encoding="utf-8"), flags=re.M):
        place = re.match(r".*`edgekd/([\w/]+)/[A-Z]+\.py`", section)
        code = re.search(r"^```python\n(.*?)^```", section, flags=re.M | re.S)
        if place and code:
            found[place[1].replace("/", ".")] = code[1]
    return found


def source(root: Path = ROOT) -> str:
    """The file that mypy checks."""
    lines = []
    for number, kind in enumerate(kinds(root)):
        lines += [f"from {kind.base} import {kind.protocol} as Kind{number}"]
        lines += [f"import edgekd.{kind.package}.{module}" for module in kind.modules]
        lines += [f"held{number}_{module}: Kind{number} = edgekd.{kind.package}.{module}" for module in kind.modules]
    return "\n".join(lines) + "\n"


def check_examples() -> int:
    """Run mypy over the examples of docs/plug-ins.md, each assigned to its protocol; its exit code."""
    bases = {kind.package: kind for kind in kinds()}
    lines = []
    shutil.rmtree(SHOWN, ignore_errors=True)
    SHOWN.mkdir(parents=True)
    for package, code in examples().items():
        module, kind = f"shown_{package.replace('.', '_')}", bases[package]
        (SHOWN / f"{module}.py").write_text(code, encoding="utf-8")
        lines += [f"import {module}", f"from {kind.base} import {kind.protocol} as {module}_protocol"]
        lines += [f"{module}_held: {module}_protocol = {module}"]
    (SHOWN / "shown.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    # named one by one, since mypy is silent about what it finds by imports below an installed folder
    files = [str(path) for path in sorted(SHOWN.glob("*.py"))]
    return subprocess.run([sys.executable, "-m", "mypy", *files], cwd=ROOT, check=False).returncode


def plugin(version: str) -> type[Plugin]:
    """What mypy calls when it starts, before it reads a file."""
    WRITTEN.parent.mkdir(exist_ok=True)
    if not WRITTEN.exists() or WRITTEN.read_text(encoding="utf-8") != source():
        WRITTEN.write_text(source(), encoding="utf-8")
    return Plugin


if __name__ == "__main__":
    sys.exit(check_examples())
