"""Which Python of a device runs the agent, and what to install where none has a runtime."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edgekd.errors import NoPythonError
from edgekd.values import DeviceFacts

OLDEST = (3, 8)

# the last onnxruntime with wheels for a Python, on x86-64 and aarch64 (PyPI)
_LAST_ONNXRUNTIME = {(3, 8): "1.19.2", (3, 9): "1.19.2", (3, 10): "1.23.2"}

# from this version on, the Pythons of Debian and Ubuntu take no packages by pip: externally-managed-environment
_CLOSED = (3, 11)
_OF_THE_SYSTEM = re.compile(r"(/usr/bin/)?python[0-9.]*")


@dataclass(frozen=True)
class Python:
    """A Python on a device, and which of the runtimes that it was asked for it can import."""

    path: str
    version: tuple[int, int]
    runtimes: tuple[str, ...] = ()


def choose(url: str, found: Sequence[Python], runtimes: Iterable[str], named: str | None = None) -> Sequence[str]:
    """The command of the one that has most of the runtimes; of several with as many, the first.

    Args:
        url: of the device, for messages.
        found: on the device.
        runtimes: that are wanted.
        named: the path that the user gave, if one was.

    Raises:
        NoPythonError: there is none, or every one is too old.
    """
    wanted = set(runtimes)
    usable = [one for one in found if one.version >= OLDEST]
    if usable:
        return [max(usable, key=lambda one: len(wanted & {*one.runtimes})).path]
    needed = f"edgekd needs {'.'.join(map(str, OLDEST))} or newer there"
    hint = f"Install one there, or give the path of one: {url.removesuffix(named or '')}/path/to/python"
    if named and named.startswith("/~"):
        hint = f"Write the full path instead of ~, as in {url.removesuffix(named)}/home/USER/edgekd/bin/python"
    if found:
        newest = max(found, key=lambda one: one.version)
        raise NoPythonError(f"{url}: {newest.path} is Python {newest.version[0]}.{newest.version[1]}; {needed}", hint)
    raise NoPythonError(f"{url}: {f'{named} is no Python' if named else 'there is no Python'}; {needed}", hint)


def installing(url: str, python: Sequence[str], version: str, runtime: str, *, beside: bool = False) -> str:
    """How a runtime is installed for a Python: a command to be typed there, and the URL to use then if that is another.

    Args:
        url: of the device.
        python: the command of the Python.
        version: of it, such as "3.10.12".
        runtime: that is missing.
        beside: whether the system's packages are wanted as well, such as TensorRT.
    """
    known = _LAST_ONNXRUNTIME.get(_minor(version)) if runtime == "onnxruntime" else None
    return _by_pip(url, python, version, f"{runtime}=={known}" if known else runtime, beside=beside)


def install_command(url: str, python: Sequence[str], facts: DeviceFacts, runtime: str) -> str | None:
    """What installs a runtime on a device, as `installing`; None where edgekd knows no such command.

    Args:
        url: of the device.
        python: the command of the Python that runs the agent there.
        facts: of the device.
        runtime: that is missing.
    """
    if runtime == "tensorrt":
        return "sudo apt-get install python3-libnvinfer python3-numpy" if facts.platform.l4t else None
    # the bundle is made elsewhere, and has no pip
    bundled = any(one.origin for one in facts.runtimes.values())
    beside = facts.platform.l4t is not None
    return None if bundled else installing(url, python, facts.host.python, runtime, beside=beside)


def upgrading(url: str, python: Sequence[str], facts: DeviceFacts, runtime: str, least: str) -> str:
    """How a device gets a newer version of a runtime that it has: a command, or what to do.

    Args:
        url: of the device.
        python: the command of the Python that runs the agent there.
        facts: of the device.
        runtime: that it has.
        least: the version that is needed, such as "1.24".
    """
    if runtime == "tensorrt":
        return "it comes with a newer JetPack"
    if facts.runtimes[runtime].origin:
        return f"make the bundle again with `edgekd devices bundle --arch {facts.host.arch}`"
    last = _LAST_ONNXRUNTIME.get(_minor(facts.host.python)) if runtime == "onnxruntime" else None
    if last and _minor(last) < _minor(f"{least}.0"):
        return f"it needs a newer Python there, since {last} is the last one for Python {facts.host.python}"
    beside = facts.platform.l4t is not None
    return _by_pip(url, python, facts.host.python, f"'{runtime}>={least}'", beside=beside)


def _by_pip(url: str, python: Sequence[str], version: str, package: str, *, beside: bool) -> str:
    command = " ".join(python)
    if not (_OF_THE_SYSTEM.fullmatch(command) and _minor(version) >= _CLOSED):
        return f"{command} -m pip install {package}"
    venv = f"-m venv{' --system-site-packages' if beside else ''}"
    make = f"{command} {venv} ~/edgekd && ~/edgekd/bin/python -m pip install {package}"
    return f"{make}; then use that Python: {url.removesuffix(command)}/home/USER/edgekd/bin/python"


def _minor(version: str) -> tuple[int, int]:
    major, minor, *_ = version.split(".")
    return int(major), int(minor)
