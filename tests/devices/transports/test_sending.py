"""What a device says while files are sent to it."""

import sys

import pytest

from edgekd.devices.transports._sending import NotSentError, send
from edgekd.devices.transports._session import Session


@pytest.mark.parametrize("says", ["full", "full a lot", "full \\u00b2", "full " + "9" * 5_000, ""])
def test_what_is_no_answer_means_that_nothing_was_sent(tmp_path, says):
    (tmp_path / "a").write_text("a")
    script = f"import sys; sys.stdout.buffer.write('{says}\\n'.encode())"
    with Session([sys.executable, "-c", script]) as session, pytest.raises(NotSentError):
        send(session, tmp_path, {"a": "0" * 64}, "key", "ssh://device")
