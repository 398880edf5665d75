"""What an agent's answers are held to before they are used: a device can be broken, or lie.

Every function raises `protocol.ProtocolError` if an answer can't be true.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from edgekd.devices.agent import protocol
from edgekd.visible import visible_name
from edgekd.worker_output import Limits

T = TypeVar("T")

FACTS = Limits(line=1 << 20, values=1 << 16, frame=0)
"""What answers without samples are limited to."""

NODES = Limits(line=32 << 20, values=1 << 21, frame=0)
OUTPUTS = Limits(line=1 << 20, values=1 << 16, frame=1 << 30)

_PER_SECOND = 1_000_000  # no inference that is called from Python takes less than a microsecond
_MOST_SAMPLES = 8_000_000  # a few hundred megabytes of memory
_SAMPLE_BYTES = 26  # of a float in JSON, with what separates it from the next
_LONGEST_TEXT = 1 << 16  # names of fused layers list what they were fused from
_DEEPEST = 8
_LONGEST_HELD_S = 1e9
_SHOWN = 12  # digits of a hash
_LARGEST = 2**63 - 1
_SIGNED = ("temperatures_c", "rails_w")
_CLOCK_ERROR = 1.01  # of the device's clock against the host's
_UNNOTICED_MS = 1.0


def samples(seconds: float) -> Limits:
    """The limits of an answer with all latencies of so many seconds."""
    count = int(min(_PER_SECOND * seconds, _MOST_SAMPLES))
    return Limits(FACTS.line + _SAMPLE_BYTES * count, FACTS.values + count, frame=0)


def read(kind: type[T], answer: Mapping[str, Any], nonce: str) -> T:
    """The answer to the request with that nonce: of the right types, without negative numbers, safe to print."""
    require_nonce(answer, nonce)
    fields = {key: value for key, value in answer.items() if key != "nonce"}
    return protocol.read(kind, _safe(fields, "", _DEEPEST, signed=False))


def require_nonce(answer: Mapping[str, Any], nonce: str) -> None:
    """An answer to another request is not used."""
    if answer.get("nonce") != nonce:
        raise protocol.ProtocolError("it answers another request: the nonce differs")


def described(answer: protocol.Described | protocol.Surveyed, waited_ms: float) -> None:
    """A device has a CPU."""
    if not answer.host.cores:
        raise protocol.ProtocolError("host.cores is 0")


class OtherFileError(Exception):
    """What the device has under a path isn't what it was sent."""


def require_files(sha256: Sequence[str], files: Mapping[str, str]) -> None:
    """Raises OtherFileError unless the device read files of this content: SHA-256 by path."""
    if len(sha256) != len(files):
        raise protocol.ProtocolError(f"sha256 has {len(sha256)} hashes of {len(files)} files")
    for (path, expected), found in zip(files.items(), sha256, strict=True):
        if found != expected:
            there, here = (one[:_SHOWN] for one in (found, expected))
            raise OtherFileError(f"{path} has another content there than was sent: SHA-256 {there}…, not {here}…")


def loaded(answer: protocol.Loaded, waited_ms: float, files: Mapping[str, str]) -> None:
    """Loading takes time, but not longer than was waited; every axis of an input has a size."""
    require_files(answer.sha256, files)
    _require_time("load_ms", answer.load_ms, waited_ms)
    for name, shape in answer.inputs.items():
        if 0 in shape:
            raise protocol.ProtocolError(f"inputs.{name} is of shape {list(shape)}")


def first_run(answer: protocol.FirstRun, waited_ms: float) -> None:
    """The first inference fits in the time that was waited."""
    _require_time("first_ms", answer.first_ms, waited_ms)


def warmed(answer: protocol.Warmed, waited_ms: float, period_s: float | None) -> None:
    """The inferences fit in the time that was waited, and the latency is that of some of them.

    Their pace isn't checked: each window starts at once after the one before.
    """
    _require_samples(answer.samples_ms, waited_ms, overlap=period_s is not None)
    if not min(answer.samples_ms) <= answer.latency_ms <= max(answer.samples_ms):
        raise protocol.ProtocolError(f"latency_ms is {answer.latency_ms:g}, but no sample is as short or as long")


def timed(answer: protocol.Timed, waited_ms: float, period_s: float | None) -> None:
    """The inferences and the canary fit in the time that was waited."""
    _require_samples(answer.samples_ms, waited_ms, overlap=period_s is not None)
    if period_s is not None:
        paced_ms = (len(answer.samples_ms) - 1) * period_s * 1e3
        _require_at_most("samples_ms, one each period,", paced_ms, waited_ms)
    _require_time("canary_ms", answer.canary_ms, waited_ms)
    if answer.accelerator_ms is not None:  # of less than the accelerator's clock can resolve it is 0
        _require_at_most("accelerator_ms", answer.accelerator_ms, waited_ms)
    if answer.waited_ms is not None:
        _require_at_most("waited_ms", answer.waited_ms, waited_ms)


def built(answer: protocol.Built, waited_ms: float, files: Mapping[str, str]) -> None:
    """It was built from the right files."""
    require_files(answer.sha256, files)


def traced(answer: protocol.Traced, waited_ms: float, files: Mapping[str, str]) -> None:
    """There was an inference, and no node took longer than was waited."""
    require_files(answer.sha256, files)
    if not answer.inferences:
        raise protocol.ProtocolError("inferences is 0")
    for node in answer.nodes:
        _require_at_most(f"{node.name}: ms", node.ms, waited_ms)


def leased(answer: protocol.Leased, waited_ms: float) -> None:
    """Nobody has held the lease for decades."""
    if answer.holder is not None and (answer.holder.held_s or 0) > _LONGEST_HELD_S:
        raise protocol.ProtocolError(f"holder.held_s is {answer.holder.held_s:g}")


def _require_samples(samples_ms: Sequence[float], waited_ms: float, *, overlap: bool) -> None:
    if not samples_ms:
        raise protocol.ProtocolError("samples_ms is empty")
    if min(samples_ms) <= 0:
        raise protocol.ProtocolError("samples_ms has an inference that took no time")
    # paced inferences that wait for the one before are timed from when they were due, so their times overlap
    if overlap:
        _require_at_most("the largest of samples_ms", max(samples_ms), waited_ms)
    else:
        _require_at_most("the sum of samples_ms", sum(samples_ms), waited_ms)


def _require_time(name: str, ms: float, waited_ms: float) -> None:
    if ms <= 0:
        raise protocol.ProtocolError(f"{name} is {ms:g}")
    _require_at_most(name, ms, waited_ms)


def _require_at_most(name: str, ms: float, waited_ms: float) -> None:
    if ms > _CLOCK_ERROR * waited_ms + _UNNOTICED_MS:
        raise protocol.ProtocolError(f"{name} is {ms:g} ms, but the answer came after {waited_ms:.3g} ms")


def _safe(value: Any, at: str, deepest: int, *, signed: bool) -> Any:
    """The value with its texts made visible. A number below 0 is refused unless `signed`."""
    if not deepest:
        raise protocol.ProtocolError(f"{at} holds too many lists and objects in each other")
    if isinstance(value, str):
        if len(value) > _LONGEST_TEXT:
            raise protocol.ProtocolError(f"{at} has {len(value)} characters")
        return visible_name(value)
    if isinstance(value, (int, float)):
        _require_sane(value, at, signed=signed)
    elif isinstance(value, list) and not _are_sane(value):
        return [_safe(one, at, deepest - 1, signed=signed) for one in value]
    elif isinstance(value, dict):
        return {
            _safe(key, at, deepest, signed=False): _safe(
                one, visible_name(key[:80]), deepest - 1, signed=signed or key in _SIGNED
            )
            for key, one in value.items()
        }
    return value


def _require_sane(value: float, at: str, *, signed: bool) -> None:
    if (value < 0 and not signed) or abs(value) > _LARGEST:
        raise protocol.ProtocolError(f"{at} is {str(value)[:20]}")  # an integer may be too large for a float


def _are_sane(values: list[Any]) -> bool:
    """Whether they are numbers that need no look at each; there may be a million."""
    return set(map(type, values)) == {float} and min(values) >= 0 and max(values) <= _LARGEST
