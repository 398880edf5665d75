"""`edgekd targets detect`: which target a device matches."""

from edgekd import console
from edgekd.cli.options import DevicesFile, DeviceUrl, Json


def detect(*, device: DeviceUrl = None, devices: DevicesFile = None, json: Json = False) -> int:
    """Report which target a device matches, and why.

    It is recognised by its architecture, its system and the identifiers in its device tree. Nothing is measured, and a
    device in use is not disturbed.

    Exit codes: 0 it matches one, 3 it matches none, 5 it can't be reached.
    """
    from edgekd import catalog
    from edgekd.devices import listed

    url = listed.only(device or (), devices).url
    found = catalog.require("edgekd.pipeline.detect").detect(url)
    console.json(found) if json else console.detected(found)
    return int(found.exit_code)
