"""What a device says while files are sent to it."""

import sys

import pytest

from edgekd.devices.transports._sending import NotSentError, send
from edgekd.devices.transports._session import Session
from edgekd.errors import DiskFullError


@pytest.mark.parametrize("says", ["full", "full a lot", "full \\u00b2", "full " + "9" * 5_000, ""])
def test_what_is_no_answer_means_that_nothing_was_sent(tmp_path, says):
    (tmp_path / "a").write_text("a")
    script = f"import sys; sys.stdout.buffer.write('{says}\\n'.encode())"
    with Session([sys.executable, "-c", script]) as session, pytest.raises(NotSentError):
        send(session, tmp_path, {"a": "0" * 64}, "key", "ssh://device")


def test_what_is_free_is_never_said_to_be_as_much_as_what_is_to_be_sent(tmp_path):
    (tmp_path / "a").write_bytes(bytes(300_001))
    with (
        Session(["echo", "full 292"]) as session,
        pytest.raises(DiskFullError, match=r"0\.4 MB are to be sent, 0\.2 MB are free"),
    ):
        send(session, tmp_path, {"a": "0" * 64}, "key", "ssh://device")
