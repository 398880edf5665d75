"""`edgekd targets detect`: which target a device is of."""

from edgekd import console
from edgekd.cli.options import DevicesFile, DeviceUrl, Json


def detect(*, device: DeviceUrl = None, devices: DevicesFile = None, json: Json = False) -> int:
    """Report which target a device is of, and why.

    It is recognised by its architecture, its system and the identifiers in its device tree. Nothing is measured, and a
    device in use is not disturbed.

    Exit codes: 0 there is a target for it, 3 there is none, 5 the device can't be reached.
    """
    from edgekd import catalog
    from edgekd.devices import listed

    url = listed.only(device, devices).url
    found = catalog.require("edgekd.pipeline.detect").detect(url)
    console.json(found) if json else console.detected(found)
    return int(found.exit_code)
