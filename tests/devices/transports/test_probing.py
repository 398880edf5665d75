"""A shell on a device that lies is refused in words, and can't fill the memory."""

import sys

import pytest

from edgekd.devices.transports import _probing
from edgekd.devices.transports._probing import probed
from edgekd.devices.transports._session import Session
from edgekd.errors import DeviceError, ExitCode, MeasurementError

WHOLE = (
    "edgekd-begin\ncache /c\nunwritable \nboot b\narch aarch64\nhas k\npython 3.11 numpy /usr/bin/python3\nedgekd-end\n"
)


def asked(says):
    with Session([sys.executable, "-c", f"import sys; sys.stdout.write({says})"]) as session:
        return probed(session, "ssh://device", lambda words: DeviceError(f"can't connect: {words}"))


def test_it_reports_what_the_device_has():
    device = asked(repr(WHOLE))
    assert (device.cache, device.arch, device.has) == ("/c", "aarch64", {"k"})
    assert [(one.path, one.version) for one in device.pythons] == [("/usr/bin/python3", (3, 11))]


@pytest.mark.parametrize(
    ("says", "refused"),
    [
        (repr(WHOLE.replace("cache /c\n", "")), "wrong answer of its shell: KeyError 'cache'"),
        (repr(WHOLE.replace("3.11", "three.eleven")), "wrong answer of its shell: ValueError .*three"),
        (repr(WHOLE.replace("3.11 numpy ", "")), "wrong answer of its shell: ValueError"),
        ("'edgekd-begin\\n' + ('has ' + 'k' * 60_000 + '\\n') * 10_000", "it does not end"),
    ],
)
def test_a_wrong_answer_ends_in_4(says, refused):
    with pytest.raises(MeasurementError, match=refused) as e:
        asked(says)
    assert e.value.exit_code == ExitCode.INVALID
    assert e.value.hint


def test_a_line_without_end_is_not_read_on(monkeypatch):
    monkeypatch.setattr(_probing, "_END_S", 0.1)
    with pytest.raises(DeviceError, match="can't connect"):
        asked("'edgekd-begin\\n' + 'x' * 100_000_000")
