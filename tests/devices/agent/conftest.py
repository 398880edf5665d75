import sys

import pytest

from edgekd.devices.shipped import AGENT

# its modules import each other by their own names, as on a device
sys.path.append(str(AGENT))


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A made-up /sys: writes files below it."""
    import sysfs

    monkeypatch.setattr(sysfs, "ROOT", tmp_path)

    def write(path, text):
        file = tmp_path / "sys" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")

    return write
