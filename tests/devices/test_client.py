"""What a device answers is checked before it is used: a wrong answer is an error with words."""

import sys

import pytest

from edgekd.devices.client import Agent
from edgekd.errors import ExitCode, MeasurementError
from edgekd.worker import Worker, WorkerError

ANSWERS = "import sys\nfor _ in sys.stdin:\n    print({answer!r}, flush=True)"


def answering(answer):
    return Agent(Worker([sys.executable, "-c", ANSWERS.format(answer=answer)]), "test:")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("{}", "exists is missing"),
        ('{"exists": 1}', "exists is 1, not a boolean"),
        ('{"exists": true, "also": 1}', "also is not a field of Found"),
        ("[]", r"answered '\[\]"),
        ("hello", "answered 'hello"),
        ('{"exists": ' + "9" * 5_000 + "}", "answered"),
        ('{"a":' * 20_000, "answered"),
    ],
)
def test_a_wrong_answer_ends_in_4_and_names_the_device_and_the_request(answer, says):
    with answering(answer) as agent, pytest.raises(MeasurementError, match=rf"^test:.*to 'exists': .*{says}") as e:
        agent.exists("/")
    assert e.value.exit_code == ExitCode.INVALID
    assert e.value.hint


def test_what_the_agent_reports_is_left_to_the_caller():
    failing = answering('{"error": "no such file", "hint": "Copy it."}')
    with failing as agent, pytest.raises(WorkerError, match="no such file") as e:
        agent.exists("/")
    assert (e.value.kind, e.value.hint) == ("error", "Copy it.")
