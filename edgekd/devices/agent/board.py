"""What a device reports of its board and its system's software. None or empty where it does not report it.

Sources: the device tree; L4T's release file and the installed packages of a Jetson; Android's properties.
"""

from __future__ import annotations

import platform
import re
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekd.devices.agent import caching, clocks, commands, power_mode, protocol, sysfs
else:  # on a device this folder is all there is
    import caching
    import clocks
    import commands
    import power_mode
    import protocol
    import sysfs

_TREE = "proc/device-tree"
_L4T = re.compile(r"#\s*R(\d+)\s.*?REVISION:\s*([\d.]+)")
_PACKAGES = re.compile(
    r"^Package: (nvidia-jetpack|libnvinfer\d*)\nStatus: install ok installed\n(?:.+\n)*?"
    r"Version: (?:\d+:)?([\d.]+)",
    re.MULTILINE,
)
_CUDA = re.compile(r'"cuda"\s*:\s*\{[^}]*"version"\s*:\s*"([\d.]+)"')


def model() -> str | None:
    """The board's name, such as "Raspberry Pi 5 Model B Rev 1.0"; of an Android device maker and model."""
    return _android_model() or sysfs.text(sysfs.path(f"{_TREE}/model")) or None


def describe(cache: str | None) -> protocol.Platform:
    """The board's identifiers, the versions of its system's software, and the space in the agent's cache folder."""
    packages = dict(_PACKAGES.findall(sysfs.text(sysfs.path("var/lib/dpkg/status"))))
    tensorrt = next((version for name, version in packages.items() if name != "nvidia-jetpack"), None)
    cuda = _CUDA.search(sysfs.text(sysfs.path("usr/local/cuda/version.json")))
    return protocol.Platform(
        compatible=tuple(part for part in sysfs.text(sysfs.path(f"{_TREE}/compatible")).split("\0") if part),
        l4t=_l4t(),
        jetpack=packages.get("nvidia-jetpack"),
        cuda=cuda[1] if cuda else None,
        tensorrt=tensorrt,
        android=commands.output("getprop", "ro.build.version.release") or None,
        android_sdk=_whole_number(commands.output("getprop", "ro.build.version.sdk")),
        glibc=platform.libc_ver()[1] or None,
        free_bytes=_free_bytes(cache),
        clusters=clocks.clusters(),
        power_modes=power_mode.known_modes(),
    )


def _android_model() -> str:
    maker, name = (commands.output("getprop", f"ro.product.{what}") for what in ("manufacturer", "model"))
    return f"{maker} {name}".strip()


def _l4t() -> str | None:
    """The release of NVIDIA's Linux for Tegra, such as "36.4.3"."""
    found = _L4T.search(sysfs.text(sysfs.path("etc/nv_tegra_release")))
    return f"{found[1]}.{found[2]}" if found else None


def _free_bytes(cache: str | None) -> int | None:
    """The space that this user may fill where the agent's cache is, or will be."""
    folder = caching.folder(cache)
    for place in (folder, *folder.parents) if folder else ():
        try:
            return shutil.disk_usage(str(place)).free
        except OSError:
            continue  # it is not made yet, or not this user's
    return None


def _whole_number(text: str) -> int | None:
    return int(text) if text.isdigit() else None
