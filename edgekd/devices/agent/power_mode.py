"""The power mode of a device by its name: the numbers of modes differ between modules and versions of JetPack."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekd.devices.agent import android, commands, sysfs
else:  # on a device this folder is all there is
    import android
    import commands
    import sysfs

_CURRENT = re.compile(r"pmode:\s*(\d+)")
_NAMED = re.compile(r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+?)\s*>")
_QUERIED = re.compile(r"^NV Power Mode:\s*(\S.*)$", re.MULTILINE)


def power_mode() -> str | None:
    """The power mode, such as "MAXN_SUPER" or "15W" of a Jetson's nvpmodel; None where the device has none.

    Of Android only the battery saver is reported. Its fixed-performance mode shows in the clocks: see `clocks.locked`.
    """
    return _nvpmodel() or android.power_mode()


def known_modes() -> dict[str, int]:
    """The numbers of a Jetson's power modes by their names."""
    text = sysfs.text(sysfs.path("etc/nvpmodel.conf"))
    return {name: int(number) for number, name in _NAMED.findall(text)}


def _nvpmodel() -> str | None:
    current = _CURRENT.search(sysfs.text(sysfs.path("var/lib/nvpmodel/status")))
    names = {number: name for name, number in known_modes().items()}
    if current and int(current[1]) in names:
        return names[int(current[1])]
    queried = _QUERIED.search(commands.output("nvpmodel", "-q"))
    return queried[1].strip() if queried else None
