"""Both ends take nothing that isn't a message, and say what is wrong."""

import json
from dataclasses import fields

import pytest

from edgekd import values
from edgekd.devices.agent import protocol
from edgekd.devices.agent.protocol import Block, Described, Exists, Feeds, Load, Opening, ProtocolError, Timed, Trace

TIMED = {"samples_ms": [1.5, 2], "energy_mj": None, "canary_ms": 0.1}


def sent(request):
    return protocol.read_request(json.loads(json.dumps(protocol.request_document(request, "n"))))


@pytest.mark.parametrize(
    "request_",
    [
        *(
            kind()
            for name, kind in protocol.REQUESTS.items()
            if name in ("describe", "state", "cpus", "first", "finish")
        ),
        Exists("/proc"),
        Block(0.1, None),
        Load(Opening("/a.onnx", {"threads": 2, "provider_options": {"a": "b"}}, Feeds(2, {"": (1, 3)}), (0, 1))),
        Trace(Opening("/a.onnx"), 0.5),
    ],
)
def test_what_is_sent_arrives(request_):
    assert sent(request_) == request_


def test_an_answer_is_read_with_whole_numbers_as_numbers():
    assert protocol.read(Timed, TIMED) == Timed((1.5, 2.0), None, 0.1)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"samples_ms": 3}, "samples_ms is 3, not a list"),
        ({"samples_ms": [1, "2"]}, r"samples_ms\[1\] is '2', not a finite number"),
        ({"samples_ms": [True]}, r"samples_ms\[0\] is True, not a finite number"),
        ({"canary_ms": float("nan")}, "canary_ms is nan, not a finite number"),
        ({"canary_ms": float("inf")}, "canary_ms is inf, not a finite number"),
        ({"canary_ms": 10**400}, "canary_ms is 1000"),
        ({"canary_ms": None}, "canary_ms is None, not a finite number"),
        ({"energy_mj": {}}, "energy_mj is {}, not a finite number"),
        ({"samples": []}, "samples is not a field of Timed"),
    ],
)
def test_a_wrong_answer_is_refused_in_words(changes, says):
    with pytest.raises(ProtocolError, match=says):
        protocol.read(Timed, {**TIMED, **changes})


def test_what_is_missing_or_no_object_is_refused_with_its_place():
    with pytest.raises(ProtocolError, match="canary_ms is missing"):
        protocol.read(Timed, {"samples_ms": [], "energy_mj": None})
    with pytest.raises(ProtocolError, match=r"Timed is \[\], not an object"):
        protocol.read(Timed, [])
    with pytest.raises(ProtocolError, match=r"host\.arch is missing"):
        protocol.read(Described, {"host": {"machine": "a"}})


@pytest.mark.parametrize("stored", ["State", "Node", "Trace"])
def test_what_is_stored_of_an_answer_has_its_fields(stored):
    sent = {"Trace": protocol.Traced}.get(stored) or getattr(protocol, stored)
    assert {one.name for one in fields(sent)} - {"sha256"} == set(getattr(values, stored).model_fields)
