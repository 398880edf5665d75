"""What `adb` says when it fails, as errors with a remedy."""

import re

from edgekd.devices.transports._failures import freeing
from edgekd.errors import DeviceError
from edgekd.visible import visible

_KNOWN = [
    (
        r"device unauthorized|device still authorizing|^unauthorized",
        "it has not accepted this computer's key",
        "Unlock the device, and accept the question for USB debugging; `adb devices` must list it as `device`.",
    ),
    (
        r"device offline|^offline",
        "it is offline",
        "Plug it in again, or: {reconnect}",
    ),
    (
        r"device '.*' not found|no devices/emulators found",
        "adb does not know it",
        "Connect it, with USB debugging switched on, and give a serial number that `adb devices` lists{connect}.",
    ),
    (
        r"insufficient permissions|no permissions",
        "this user may not use the USB device",
        "Join the group plugdev and install Android's udev rules: apt install android-sdk-platform-tools-common",
    ),
    (
        r"only supports allocating a pty|shell_v2",
        "it is too old: its adb shell reports no exit codes",
        "Use a device with Android 7 or newer.",
    ),
    (
        r"cannot connect to daemon|failed to start daemon|failed to check server version|version mismatch",
        "adb's server can't be started",
        "Start it by hand, and see what it says: adb start-server",
    ),
    (
        r"No space left on device|Disk quota exceeded",
        "its storage is full",
        "{freeing}",
    ),
    (
        r"Read-only file system|Permission denied|Operation not permitted",
        "the folder can't be written",
        "adb shell must be able to write there: {shell} touch /data/local/tmp/x",
    ),
]

_OF_ADB = re.compile(r"^(error|adb|\* cannot|\* failed)\b", re.MULTILINE)


def because(words: str) -> bool:
    """Whether adb itself says in its words to stderr why it failed, not the program that it started."""
    return bool(_OF_ADB.search(words))


def failed(serial: str, doing: str, words: str) -> DeviceError:
    """The error for what adb, or a program on the device, wrote to stderr."""
    address = ":" in serial
    terms = {
        "freeing": freeing(f"adb://{serial}"),
        "shell": f"adb -s {serial} shell",
        "reconnect": f"adb disconnect {serial} && adb connect {serial}" if address else f"adb -s {serial} reconnect",
        "connect": f"; over a network: adb connect {serial}" if address else "",
    }
    for pattern, what, remedy in _KNOWN:
        if re.search(pattern, words, re.MULTILINE):
            return DeviceError(f"adb://{serial}: {doing}: {what}", remedy.format(**terms))
    lines = [line for line in words.splitlines() if line.strip() and not line.startswith("* daemon")]
    said = visible(lines[-1]) if lines else "no reason was given"
    return DeviceError(f"adb://{serial}: {doing}: {said}", f"Check that this works: {terms['shell']} true")
