"""The bundle where a device has no Python with a runtime of its own."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edgekd.devices import pythons
from edgekd.devices.bundle import manifest
from edgekd.devices.bundle.debian import NAMES
from edgekd.devices.pythons import Python
from edgekd.errors import NoPythonError

Push = Callable[[Path, Mapping[str, str], str], str]
"""As `Connection.push`."""

_PROVIDES = {"ncnn", "onnxruntime"}


def python(
    url: str,
    found: Sequence[Python],
    runtimes: Sequence[str],
    *,
    arch: str,
    push: Push,
    named: str | None = None,
    installable: bool = True,
) -> Sequence[str]:
    """The command of the device's own Python if that has one of the runtimes, or was named; else of the bundle's.

    Args:
        url: of the device, for messages.
        found: its own.
        runtimes: that are wanted.
        arch: of the device.
        push: sends files to it.
        named: the path that the user gave, if one was.
        installable: whether a Python can be installed there, and its path be given in the URL.

    Raises:
        DeviceError: there is none, and no bundle was made; or the device can't be reached.
    """
    wanted = {*runtimes}
    suits = any(one.version >= pythons.OLDEST and wanted & {*one.runtimes} for one in found)
    has_bundle = wanted & _PROVIDES and arch in NAMES
    if not (named or suits) and has_bundle:
        folder = manifest.place(arch)
        if bundle := manifest.read(folder):
            return bundle.command(push(folder, bundle.files, bundle.key))
    try:
        return pythons.choose(url, found, runtimes, named)
    except NoPythonError as e:
        command = f"edgekd devices bundle --arch {arch}"
        if installable:
            or_bundle = f"; or make what runs there without one: {command}" if has_bundle and not named else ""
            raise NoPythonError(e.message, f"{e.hint}{or_bundle}") from e
        only = f"Only 64-bit phones are supported ({', '.join(NAMES)}); this one is {arch}."
        raise NoPythonError(e.message, f"Make what runs there without one: {command}" if arch in NAMES else only) from e
