"""The files and programs by which boards describe themselves, as trees below a folder.

A line of `boards/NAME.txt` is one of

    PATH = TEXT         a file; `cpu{0-3}` in the path stands for four of them
    PATH !              a file that can't be read
    $ PROGRAM … = TEXT  what a program writes when it is called with these arguments; it fails with others

with `\\0`, `\\n` and `\\t` in the text for these characters.
"""

import re
import shlex
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "boards"
NAMES = sorted(file.stem for file in FOLDER.glob("*.txt"))

_ESCAPES = {r"\0": "\0", r"\n": "\n", r"\t": "\t"}


def make(name: str, at: Path) -> None:
    """Write the tree of a board below a folder; its programs are in `bin`."""
    programs: dict[str, dict[str, str]] = {}
    for line in (FOLDER / f"{name}.txt").read_text().splitlines():
        left, equals, text = line.partition(" = ")
        text = re.sub(r"\\[0nt]", lambda found: _ESCAPES[found[0]], text)
        if line.startswith("#"):
            continue
        if line.startswith("$ "):
            program, _, arguments = left.removeprefix("$ ").partition(" ")
            programs.setdefault(program, {})[arguments] = text
            continue
        for path in _each(left if equals else line.removesuffix(" !")):
            _write(at / path, text if equals else None)
    for program, answers in programs.items():
        _write_program(at / "bin" / program, answers)
    (at / "bin").mkdir(parents=True, exist_ok=True)


def python(name: str, at: Path, arch: str = "aarch64") -> Path:
    """A Python that is below a folder and sees the board's files and programs there, for `local:` and ssh."""
    make(name, at)
    cpus = {int(folder.name[3:]) for folder in (at / "sys/devices/system/cpu").glob("cpu*")} or {0}
    (at / "as_there.py").write_text(_AS_THERE.format(tree=str(at), cpus=cpus, arch=arch))
    file = at / "bin/python"
    android = "ANDROID_ROOT=/system " if name == "android-phone" else ""
    file.write_text(
        f"""#!/bin/sh
[ "$1" = -c ] && exec {sys.executable} "$@"
{android}PATH={at / "bin"}:/usr/bin:/bin exec {sys.executable} {at / "as_there.py"} "$@"
"""
    )
    file.chmod(0o755)
    return file


_AS_THERE = """
import os, pathlib, platform, runpy, sys
sys.argv.pop(0)
sys.path[0] = sys.argv[0]
import sysfs
sysfs.ROOT = pathlib.Path({tree!r})
cpus = {cpus!r}
os.sched_getaffinity = lambda process: {{*cpus}}
os.sched_setaffinity = lambda process, given: (cpus.clear(), cpus.update(given))
platform.machine = lambda: {arch!r}
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def _each(path: str) -> list[str]:
    """The paths for which `{0-3}` stands."""
    found = re.search(r"\{(\d+)-(\d+)\}", path)
    if not found:
        return [path]
    return [path.replace(found[0], str(n)) for n in range(int(found[1]), int(found[2]) + 1)]


def _write(file: Path, text: str | None) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if text is None:
        file.mkdir()  # reading it fails for root too, unlike a file without permissions
    else:
        file.write_text(f"{text}\n")


def _write_program(file: Path, answers: dict[str, str]) -> None:
    cases = "".join(
        f"{shlex.quote(arguments)}) printf '%s\\n' {shlex.quote(text)};;\n" for arguments, text in answers.items()
    )
    _write(file, f'#!/bin/sh\ncase "$*" in\n{cases}*) exit 1;;\nesac')
    file.chmod(0o755)
