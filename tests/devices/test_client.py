"""What a device answers is checked before it is used: a wrong answer is an error with words, of exit code 4."""

import json

import numpy as np
import pytest

from edgekd.devices import client
from edgekd.devices.agent.protocol import Build, Opening
from edgekd.errors import ExitCode, MeasurementError
from edgekd.worker import WorkerError
from tests.devices.lying import lying

STATE = {
    "clocks_mhz": [],
    "clock_limit_mhz": None,
    "governor": None,
    "temperatures_c": {},
    "throttle_count": None,
    "throttled_by": [],
}


def answer(**fields):
    return json.dumps({"nonce": "NONCE", **fields})


def refused(says, ask, answer, also="pass"):
    """Asks an agent that lies; it is refused in these words."""
    with lying(answer, also) as agent, pytest.raises(MeasurementError, match=says) as e:
        ask(agent)
    assert e.value.exit_code == ExitCode.INVALID
    assert e.value.hint
    return e.value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (answer(), "exists is missing"),
        (answer(exists=1), "exists is 1, not a boolean"),
        (answer(exists=True, also=1), "also is not a field of Found"),
        ("[]", r"answered '\[\]"),
        ("hello", "answered 'hello"),
        ('{"exists": ' + "9" * 5_000 + "}", "answered"),
        ('{"a":' * 20_000, "answered"),
        (answer(exists=json.loads("[" * 90 + "]" * 90)), "too many lists and objects in each other"),
        (answer(exists=7).replace("7", "[" * 5_000 + "]" * 5_000), "(too many lists|answered)"),
        (answer(error=7), "answered with an error that is no text"),
        (answer(error="no", hint=[]), "answered with an error that is no text"),
        ("[" * 1_000_000, "answered more than 65536 values"),
        ('{"exists": true, "nonce": "stale"}', "the nonce differs"),
        ('{"exists": true, "nonce": null}', "the nonce differs"),
        ('{"exists": true}', "the nonce differs"),
        ('{"error": "no such file", "hint": ""}', "the nonce differs"),
    ],
)
def test_a_wrong_answer_ends_in_4_and_names_the_device_and_the_request(text, says):
    refused(rf"^test:.*to 'exists': .*{says}", lambda agent: agent.exists("/"), text)


def test_what_the_agent_reports_is_left_to_the_caller():
    failing = lying(answer(error="no such file", hint="Copy it."))
    with failing as agent, pytest.raises(WorkerError, match="no such file") as e:
        agent.exists("/")
    assert (e.value.kind, e.value.hint) == ("error", "Copy it.")


def test_an_answer_is_used_once():
    """The second of two answers to one request is not taken for the answer to the next."""
    twice = f"{answer(exists=True)}\n{answer(exists=False)}"
    with lying(twice) as agent:
        assert agent.exists("/")
        with pytest.raises(MeasurementError, match=r"(nonce differs|without being asked)"):
            agent.exists("/")


FLOOD = b"x" * 10_000
ENDLESS = "while True: sys.{}.buffer.write({!r})"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (answer(exists=True, also="x" * 3_000_000), "answered more than 1048576 bytes"),
        (b"#9\n123456789" + answer(exists=True).encode() + b"\n", "announced 9 bytes of data, where 0 are expected"),
        (b"#999999999999\n", "announced 999999999999 bytes"),
    ],
)
def test_what_is_larger_than_expected_is_not_read(text, says):
    refused(says, lambda agent: agent.exists("/"), text)


def test_output_without_end_is_cut_off():
    refused("more than 1048576 bytes", lambda agent: agent.exists("/"), "", ENDLESS.format("stdout", FLOOD))


def test_answers_without_end_are_cut_off():
    for text, says in ((b"{}\n", "nonce differs|without being asked"), (b"#0\n", "announced data twice")):
        refused(says, lambda agent: agent.exists("/"), "", ENDLESS.format("stdout", text))


def test_errors_without_end_neither_fill_the_memory_nor_hang():
    with lying("", ENDLESS.format("stderr", b"\x1b[2J" * 1_000)) as agent:
        with pytest.raises(WorkerError, match="no answer within") as e:
            agent.describe(timeout_s=1)
        assert e.value.kind == "timeout"
        assert "\x1b" not in str(e.value)
        assert len(str(e.value)) < 10_000


def timed(agent):
    agent.block(0.01, None, 1.0)


def paced(agent):
    agent.block(0.01, 0.01, 1.0)


def warmup(agent):
    agent.warmup(1.0, 0.01, None, 1.0)


def load(agent):
    agent.load(Opening("m.onnx"))


BY = {"provider": "p", "sha256": []}
BLOCK = {"samples_ms": [0.001], "energy_mj": None, "canary_ms": 0.001}
NODE = {"name": "n", "op": "Conv", "provider": "CPU"}


@pytest.mark.parametrize(
    ("ask", "says", "fields"),
    [
        (timed, "samples_ms is empty", BLOCK | {"samples_ms": []}),
        (timed, "took no time", BLOCK | {"samples_ms": [0.1, 0]}),
        (timed, "samples_ms is -1", BLOCK | {"samples_ms": [0.1, -1]}),
        (timed, "not a finite number", BLOCK | {"samples_ms": [float("nan")]}),
        (timed, "samples_ms is inf", BLOCK | {"samples_ms": [float("inf")]}),
        (timed, "the sum of samples_ms is 9e.06 ms, but", BLOCK | {"samples_ms": [3e6, 3e6, 3e6]}),
        (timed, "answered more than .* values", BLOCK | {"samples_ms": [1e-9] * 90_000}),
        (paced, "the largest of samples_ms is 3e.06 ms, but", BLOCK | {"samples_ms": [0.1, 3e6]}),
        (paced, "one each period, is 990 ms", BLOCK | {"samples_ms": [0.1] * 100}),
        (timed, "energy_mj is -1", BLOCK | {"energy_mj": -1}),
        (timed, "canary_ms is 0", BLOCK | {"canary_ms": 0}),
        (timed, "canary_ms is 1e.06 ms", BLOCK | {"canary_ms": 1e6}),
        (timed, "accelerator_ms is 1e.06 ms", BLOCK | {"accelerator_ms": 1e6}),
        (timed, "waited_ms is 1e.06 ms", BLOCK | {"waited_ms": 1e6}),
        (timed, "waited_ms is -1", BLOCK | {"waited_ms": -1}),
        (warmup, "latency_ms is 1, but no sample", {"samples_ms": [0.1], "latency_ms": 1.0, "state": STATE}),
        (warmup, "the sum of samples_ms", {"samples_ms": [1e6], "latency_ms": 1e6, "state": STATE}),
        (
            warmup,
            "clocks_mhz is -5",
            {"samples_ms": [0.1], "latency_ms": 0.1, "state": STATE | {"clocks_mhz": [-5]}},
        ),
        (load, "load_ms is 0", {"load_ms": 0, "inputs": {}} | BY),
        (
            load,
            "load_ms is 1e.07 ms, but the answer came after",
            {"load_ms": 1e7, "inputs": {}} | BY,
        ),
        (
            load,
            r"inputs.x is of shape \[1, 0\]",
            {"load_ms": 0.1, "inputs": {"x": [1, 0]}} | BY,
        ),
        (load, "provider has 70000 characters", {"load_ms": 0.1, "inputs": {}} | BY | {"provider": "p" * 70_000}),
        (client.Agent.first, "first_ms is 0", {"first_ms": 0}),
        (client.Agent.first, "first_ms is 1e.06 ms", {"first_ms": 1e6}),
        (client.Agent.first, "first_ms is -1", {"first_ms": -1}),
        (client.Agent.finish, "peak_bytes is -1", {"peak_bytes": -1, "state": STATE}),
        (client.Agent.finish, "peak_bytes is 10000", {"peak_bytes": 10**400, "state": STATE}),
        (lambda agent: agent.trace(Opening("m"), 0.1), "inferences is 0", {"inferences": 0, "nodes": [], "sha256": []}),
        (
            lambda agent: agent.trace(Opening("m"), 0.1),
            "n: ms is 1e.07 ms",
            {"inferences": 1, "nodes": [NODE | {"ms": 1e7}], "sha256": []},
        ),
    ],
)
def test_numbers_that_cannot_be_true_are_refused(ask, says, fields):
    refused(says, ask, answer(**fields))


def test_who_holds_the_lease_has_not_held_it_for_centuries():
    refused("held_s is 1e.18", client.Agent.lease, answer(mine=False, holder={"who": "me", "held_s": 1e18}))


def test_a_temperature_may_be_below_zero():
    with lying(answer(peak_bytes=None, state=STATE | {"temperatures_c": {"cpu": -40.0}})) as agent:
        assert agent.finish().state.temperatures_c == {"cpu": -40}


def test_what_a_device_calls_itself_does_not_act_on_the_terminal():
    with lying(answer(load_ms=0.1, inputs={"x\x1b]0;t\x07": [1]}, provider="a\x1b[2J\nPASS\u202e", sha256=[])) as agent:
        loaded = agent.load(Opening("m.onnx"))
    assert loaded.provider == r"a\x1b[2J\nPASS\u202e"
    assert [*loaded.inputs] == [r"x\x1b]0;t\x07"]
    with lying(answer(error="\x1b[2J", hint="\x9b")) as agent, pytest.raises(WorkerError) as e:
        agent.exists("/")
    assert (str(e.value), e.value.hint) == (r"\x1b[2J", r"\x9b")
    assert r"\x1b" in refused("answered", lambda agent: agent.exists("/"), "\x1b[2J").message


INPUTS = np.ones((3, 2), np.float32)


@pytest.mark.parametrize(
    ("frame", "dtype", "shape", "says"),
    [
        (b"#8\n12345678", "float32", [2, 1], "8 bytes as float32 of shape"),
        (b"#12\n123456781234", "float32", [2, 2], "12 bytes as float32 of shape"),
        (b"", "float32", [3, 1], "0 bytes as float32 of shape"),
        (b"#12\n123456781234", "object", [3, 1], "outputs are object of shape"),
        (b"#12\n123456781234", "float32", [3, -1], "shape is -1"),
        (b"#12\n123456781234", "float32", [], "12 bytes as float32 of shape"),
    ],
)
def test_outputs_that_are_not_what_they_say_are_refused(frame, dtype, shape, says):
    text = answer(outputs={"dtype": dtype, "shape": shape}, provider="none", sha256=[])
    refused(f"to 'evaluate': {says}", lambda agent: [*agent.evaluate("x", {}, [INPUTS])], frame + text.encode() + b"\n")


def test_outputs_of_another_request_are_refused():
    frame = b"#12\n123456781234"
    text = json.dumps(
        {"nonce": "old", "outputs": {"dtype": "float32", "shape": [3, 1]}, "provider": "none", "sha256": []}
    )
    refused("nonce differs", lambda agent: [*agent.evaluate("x", {}, [INPUTS])], frame + text.encode() + b"\n")


def test_outputs_of_another_shape_than_before_are_refused():
    first = b"#12\n123456781234" + answer(**OUTPUTS, sha256=[]).encode() + b"\n"
    second = first.replace(b"[3, 1]", b"[3, 3]").replace(b"#12\n", b"#36\n" + bytes(24))
    also = f"answer, second = globals().get('second', answer), {second!r}"
    says = r"the output for an input is float32 of shape \[3\]; before it was float32 of shape \[1\]"
    refused(says, lambda agent: [*agent.evaluate("x", {}, [INPUTS] * 2)], first, also)


FILES = {"/a.onnx": "1" * 64, "/a.data": "2" * 64}
LOADED = {"load_ms": 0.001, "inputs": {}, "provider": "p"}
BUILT = {"path": "/e", "bytes": 1, "seconds": 1, "how": "", "engine_sha256": "3" * 64}
OUTPUTS = {"outputs": {"dtype": "float32", "shape": [3, 1]}, "provider": "none"}


@pytest.mark.parametrize(
    ("ask", "fields", "frame"),
    [
        (lambda agent: agent.load(Opening("m"), FILES), LOADED, b""),
        (lambda agent: agent.build(Build("m", {}, "k"), FILES), BUILT, b""),
        (lambda agent: agent.trace(Opening("m"), 0.1, FILES), {"inferences": 1, "nodes": []}, b""),
        (lambda agent: [*agent.evaluate("m", {}, [INPUTS], FILES)], OUTPUTS, b"#12\n123456781234"),
    ],
)
def test_what_was_not_made_from_the_files_that_were_sent_does_not_count(ask, fields, frame):
    def said(sha256):
        return frame + answer(**fields, sha256=sha256).encode() + b"\n"

    with lying(said([*FILES.values()])) as agent:
        ask(agent)
    error = refused("/a.data has another content there than was sent", ask, said(["1" * 64, "4" * 64]))
    assert "444444444444…, not 222222222222" in error.message
    assert "edgekd devices clean URL" in error.hint
    refused("sha256 has 1 hashes of 2 files", ask, said(["1" * 64]))
