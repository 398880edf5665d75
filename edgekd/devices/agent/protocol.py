"""The protocol between the host and the agent on a device: requests and answers, each one JSON object per line.

Both sides import this file, so it runs on Python 3.8 with only the standard library. The key "do" of a request holds
its name; its key "nonce" is repeated in the answer, which so belongs to this request and no other. An answer with the
keys "error" and "hint" reports a failure; its "fault" is "device" where no artifact would do better. An array precedes
the line that describes it, as raw bytes (its frame) after a line `#N` with their number. Both sides are strict: a field
that is missing, unknown or of another type raises ProtocolError, and so does a number that isn't finite.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Dict, List, Mapping, Optional, Tuple, Type, TypeVar, Union, get_type_hints

T = TypeVar("T")

_SHOWN = 80  # characters of an invalid value in messages
_NAMES = {list: "a list", dict: "an object", str: "a string", int: "an integer", bool: "a boolean"}


class ProtocolError(ValueError):
    """A message that violates the protocol."""


# Parts of answers


@dataclass(frozen=True)
class Host:
    """A device's hardware and operating system."""

    machine: str
    """Hash that distinguishes devices without identifying them."""
    arch: str
    os: str
    os_version: str
    cpu: str
    cpu_features: Tuple[str, ...]
    cores: int
    memory_bytes: Optional[int]
    governor: Optional[str]
    python: str
    emulated: bool = False
    """Whether another machine's processor pretends to be this one: nothing that is timed there counts."""
    board: Optional[str] = None
    """The board's name, as in the device tree; of an Android device maker and model."""
    power_mode: Optional[str] = None
    """By its name, such as "MAXN_SUPER"."""
    clocks_locked: Optional[bool] = None
    """Whether CPUs and GPU are fixed at the highest clock of the power mode, as `jetson_clocks` does, or the CPUs of an
    Android device at one clock.
    """


@dataclass(frozen=True)
class Cluster:
    """CPUs of one kind, and their highest clock."""

    cpus: Tuple[int, ...]
    max_mhz: Optional[float]


@dataclass(frozen=True)
class Platform:
    """What informs about a device's board and software: None or empty where the device does not report it."""

    compatible: Tuple[str, ...] = ()
    """The board's and module's identifiers in the device tree, such as "nvidia,p3767-0005"."""
    l4t: Optional[str] = None
    jetpack: Optional[str] = None
    cuda: Optional[str] = None
    tensorrt: Optional[str] = None
    """Of the installed package, whether or not its Python module can be imported."""
    android: Optional[str] = None
    android_sdk: Optional[int] = None
    glibc: Optional[str] = None
    free_bytes: Optional[int] = None
    """In the cache folder."""
    clusters: Tuple[Cluster, ...] = ()
    """The fastest first."""
    power_modes: Dict[str, int] = field(default_factory=dict)
    """The numbers of the power modes by their names."""


@dataclass(frozen=True)
class Runtime:
    """A runtime as installed on the device."""

    version: str
    provider: str
    """The default execution provider."""
    builds: bool = False
    """Whether it builds an engine from an artifact."""
    origin: str = ""
    """Which build of it that is, if it isn't the device's own but edgekd's bundle's, such as "Linux/arm64 build"."""
    precisions: Tuple[str, ...] = ()
    """Those that it runs on this device, if only a survey can tell; and so are the others."""
    compute_capability: Optional[str] = None
    dla_cores: Optional[int] = None


@dataclass(frozen=True)
class State:
    """The state of the device at one moment: None or empty where the system does not report it."""

    clocks_mhz: Tuple[float, ...]
    clock_limit_mhz: Optional[float]
    governor: Optional[str]
    temperatures_c: Dict[str, float]
    throttle_count: Optional[int]
    throttled_by: Tuple[str, ...]
    """The causes at this moment."""
    gpu_clock_mhz: Optional[float] = None
    gpu_clock_limit_mhz: Optional[float] = None
    over_current: Dict[str, int] = field(default_factory=dict)
    """How often each over-current alarm has throttled it since boot."""
    rails_w: Dict[str, float] = field(default_factory=dict)
    charging: Optional[bool] = None
    throttled_since_boot: Optional[Tuple[str, ...]] = None
    """The causes that there have been since boot, of a device that remembers them, and not how often."""
    power_mode: Optional[str] = None
    clocks_locked: Optional[bool] = None
    """Like `power_mode` as in `Host`."""


@dataclass(frozen=True)
class Node:
    """An operator of the graph as executed by the runtime, and its milliseconds per inference."""

    name: str
    op: str
    provider: str
    ms: float
    kind: Optional[str] = None
    """As in `values.Node`, like the next two: for runtimes whose nodes aren't named after ONNX operators."""
    precision: Optional[str] = None
    kernel: Optional[str] = None


@dataclass(frozen=True)
class Array:
    """The array in a message's frame: C order, little-endian."""

    dtype: str
    shape: Tuple[int, ...]


@dataclass(frozen=True)
class Holder:
    """Who holds the lease on the device, and for how long so far."""

    who: str
    """As they call themselves; "unknown" where they left no name."""
    held_s: Optional[float]


# Answers


@dataclass(frozen=True)
class Described:
    """The host, and the runtime with which the agent was started."""

    host: Host
    runtime: Runtime


@dataclass(frozen=True)
class Surveyed:
    """The host, the requested runtimes that can be imported, why the others can't, and the paths that exist."""

    host: Host
    platform: Platform
    runtimes: Dict[str, Runtime]
    unavailable: Dict[str, str]
    exist: Tuple[str, ...]


@dataclass(frozen=True)
class Built:
    """An engine on the device, with the time it took to build, now or earlier, and how it was built."""

    path: str
    bytes: int
    seconds: float
    how: str
    """In the runtime's words: the builder's settings, or the command."""
    engine_sha256: str
    sha256: Tuple[str, ...] = ()
    """Of the request's files."""


@dataclass(frozen=True)
class Found:
    """Whether a path exists on the device."""

    exists: bool


@dataclass(frozen=True)
class StateRead:
    """The state, and whether the device reports energy."""

    state: State
    energy: bool


@dataclass(frozen=True)
class UsableCpus:
    """The CPUs available to the agent, and whether all are of one kind, as far as the system reports it."""

    cpus: Tuple[int, ...]
    alike: bool
    clusters: Tuple[Cluster, ...] = ()
    """The kinds of an Arm processor that has several (big.LITTLE), the fastest first."""


@dataclass(frozen=True)
class Loaded:
    """An artifact was opened: the load time, the input shapes, and the execution provider."""

    load_ms: float
    inputs: Dict[str, Tuple[int, ...]]
    provider: str
    sha256: Tuple[str, ...]
    """Of the request's files."""


@dataclass(frozen=True)
class FirstRun:
    """The first inference."""

    first_ms: float


@dataclass(frozen=True)
class Warmed:
    """All latencies of the warm-up, the median of its last window, and the state after it."""

    samples_ms: Tuple[float, ...]
    latency_ms: float
    state: State


@dataclass(frozen=True)
class Timed:
    """All latencies of a block, their total energy if it is reported, and the canary before them."""

    samples_ms: Tuple[float, ...]
    energy_mj: Optional[float]
    canary_ms: float
    accelerator_ms: Optional[float] = None
    """The median of what an accelerator took for an inference, by its own clock."""
    waited_ms: Optional[float] = None
    """How long the thread that waited longest for a CPU did so during the inferences; None if it isn't reported."""


@dataclass(frozen=True)
class Finished:
    """The peak memory of loading and running, if the system reports it, and the final state.

    The state's `throttled_by` also holds the alarms that were on before any of the blocks.
    """

    peak_bytes: Optional[int]
    state: State


@dataclass(frozen=True)
class Traced:
    """The nodes of an artifact, and the number of inferences over which they were timed."""

    inferences: int
    nodes: Tuple[Node, ...]
    sha256: Tuple[str, ...]
    """Of the request's files."""


@dataclass(frozen=True)
class Evaluated:
    """The wanted output for each input: (N, ...). The frame holds the array."""

    outputs: Array
    provider: str
    sha256: Tuple[str, ...]
    """Of the request's files."""


@dataclass(frozen=True)
class Leased:
    """Whether this process holds the lease on the device, and who does; None: nobody."""

    mine: bool
    holder: Optional[Holder]


# Requests


@dataclass(frozen=True)
class Feeds:
    """An artifact's inputs: the values in an .npz file on the device, otherwise random ones."""

    batch: int = 1
    """Size of a dynamic first axis."""
    shapes: Dict[str, Tuple[int, ...]] = field(default_factory=dict)
    """Shapes of inputs with dynamic axes, by name; "" stands for the only input."""
    seed: int = 0
    file: Optional[str] = None


@dataclass(frozen=True)
class Opening:
    """How an artifact is opened: its path on the device, and the options of the runtime's `open`."""

    path: str
    options: Dict[str, Any] = field(default_factory=dict)
    feeds: Feeds = Feeds()
    affinity: Optional[Tuple[int, ...]] = None
    """The CPUs to which the process is pinned; None: all."""
    transfers: bool = True
    """Whether an inference includes copying inputs to an accelerator, and outputs back."""


@dataclass(frozen=True)
class Describe:
    """Import the runtime; answered by Described."""


@dataclass(frozen=True)
class Survey:
    """Find out which runtimes (module paths by name) are installed and which paths exist; answered by Surveyed."""

    runtimes: Dict[str, str]
    paths: Tuple[str, ...]


@dataclass(frozen=True)
class Build:
    """Build an engine from an artifact, unless one is cached under this key; answered by Built.

    The key is a relative path: engines in one folder share what the runtime keeps beside them, such as timings.
    """

    path: str
    options: Dict[str, Any]
    key: str
    feeds: Feeds = Feeds()
    """An engine is built for the shapes of its inputs."""
    files: Tuple[str, ...] = ()
    """Those of the artifact, whose SHA-256 the answer has."""


@dataclass(frozen=True)
class Exists:
    """Find out whether a file or folder exists on the device; answered by Found."""

    path: str


@dataclass(frozen=True)
class ReadState:
    """Answered by StateRead."""


@dataclass(frozen=True)
class Cpus:
    """Answered by UsableCpus."""


@dataclass(frozen=True)
class Load:
    """Open an artifact to measure it; answered by Loaded."""

    opening: Opening
    files: Tuple[str, ...] = ()
    """What it reads, whose SHA-256 the answer has."""


@dataclass(frozen=True)
class First:
    """Run the first inference; answered by FirstRun."""


@dataclass(frozen=True)
class Warmup:
    """Run inferences until two consecutive windows have equal latency, at most `max_s`; answered by Warmed."""

    window_ms: float
    max_s: float
    period_s: Optional[float] = None
    """Time between the starts of two inferences; None: back to back."""


@dataclass(frozen=True)
class Block:
    """Run inferences for `seconds`, at least one; answered by Timed."""

    seconds: float
    period_s: Optional[float] = None


@dataclass(frozen=True)
class Finish:
    """Answered by Finished."""


@dataclass(frozen=True)
class Trace:
    """Open an artifact and time its nodes for about `seconds`; answered by Traced."""

    opening: Opening
    seconds: float
    files: Tuple[str, ...] = ()
    """What it reads, whose SHA-256 the answer has."""


@dataclass(frozen=True)
class Evaluate:
    """Run an artifact of batch size one over the inputs in the frame, on all CPUs.

    The artifact stays open for further requests with the same path and options. Answered by Evaluated.
    """

    path: str
    options: Dict[str, Any]
    inputs: Array
    """(N, ...): N inputs, each without the artifact's batch axis."""
    files: Tuple[str, ...] = ()
    """What it reads, whose SHA-256 the answer has."""
    output: int = 0
    """The position of the output that is wanted."""


@dataclass(frozen=True)
class Acquire:
    """Take the lease on the device if it is free; answered by Leased.

    The process ends, and the lease with it, when it is neither renewed nor asked for again for so many seconds.
    """

    who: str
    expires_s: float


@dataclass(frozen=True)
class Renew:
    """Keep the lease; answered by Leased, or a failure if it is not held any more."""


@dataclass(frozen=True)
class Release:
    """Give the lease back, or wait for it no longer; answered by Leased."""


@dataclass(frozen=True)
class ReadLease:
    """Who holds the lease; answered by Leased."""


Request = Union[
    Describe,
    Survey,
    Build,
    Exists,
    ReadState,
    Cpus,
    Load,
    First,
    Warmup,
    Block,
    Finish,
    Trace,
    Evaluate,
    Acquire,
    Renew,
    Release,
    ReadLease,
]

REQUESTS: Dict[str, Type[Any]] = {
    "describe": Describe,
    "survey": Survey,
    "build": Build,
    "exists": Exists,
    "state": ReadState,
    "cpus": Cpus,
    "load": Load,
    "first": First,
    "warmup": Warmup,
    "block": Block,
    "finish": Finish,
    "trace": Trace,
    "evaluate": Evaluate,
    "acquire": Acquire,
    "renew": Renew,
    "release": Release,
    "lease": ReadLease,
}
"""Request types by the value of "do"; the agent's method of that name answers it."""


# Conversion between values and JSON


def name_of(request: Request) -> str:
    """The value of "do"."""
    return next(name for name, kind in REQUESTS.items() if isinstance(request, kind))


def request_document(request: Request, nonce: str) -> Dict[str, Any]:
    """The JSON object of a request; the nonce is a text that no other request has."""
    return {"do": name_of(request), "nonce": nonce, **document(request)}


def read_request(message: Any) -> Request:
    """The request in a JSON object. Raises ProtocolError."""
    if not isinstance(message, dict) or message.get("do") not in REQUESTS:
        raise ProtocolError(f"not a request: {_shown(message)}; 'do' must be one of {', '.join(REQUESTS)}")
    fields = {key: value for key, value in message.items() if key not in ("do", "nonce")}
    request: Request = read(REQUESTS[message["do"]], fields)
    return request


def answer_document(answer: Any, request: Mapping[str, Any]) -> Dict[str, Any]:
    """The JSON object of the answer to a request, which is given as the JSON object that was received."""
    return {"nonce": request.get("nonce"), **document(answer)}


def document(value: Any) -> Dict[str, Any]:
    """A request's or an answer's fields as a JSON object."""
    return dataclasses.asdict(value)


def read(kind: Type[T], given: Any, at: str = "") -> T:
    """Read a dataclass value from a JSON object.

    Args:
        kind: the dataclass.
        given: the result of `json.loads`.
        at: the position in the message, for errors.

    Raises:
        ProtocolError: the object is invalid.
    """
    if not isinstance(given, dict):
        raise ProtocolError(f"{at or kind.__name__} is {_shown(given)}, not an object")
    named: Any = kind
    hints = _hints(named)
    for key in given:
        if key not in hints:
            raise ProtocolError(f"{_at(at, key)} is not a field of {kind.__name__}")
    values = {}
    for one in dataclasses.fields(kind):  # type: ignore[arg-type]
        if one.name in given:
            values[one.name] = _read(hints[one.name], given[one.name], _at(at, one.name))
        elif one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING:
            raise ProtocolError(f"{_at(at, one.name)} is missing")
    return kind(**values)


@lru_cache(maxsize=None)
def _hints(kind: Any) -> Dict[str, Any]:
    return get_type_hints(kind)


def _read(kind: Any, given: Any, at: str) -> Any:
    """Read a value of any field type used in this file."""
    if kind is Any:
        return given
    if dataclasses.is_dataclass(kind):
        return read(kind, given, at)  # type: ignore[arg-type]
    container: Any = getattr(kind, "__origin__", None)
    arguments: List[Any] = [*getattr(kind, "__args__", ())]
    if container is Union:  # always Optional here
        return None if given is None else _read(arguments[0], given, at)
    if container is tuple:
        return _sequence(arguments[0], given, at)
    if container is dict:
        return {key: _read(arguments[1], one, _at(at, key)) for key, one in _of(dict, given, at).items()}
    return _scalar(kind, given, at)


def _sequence(kind: Any, given: Any, at: str) -> Tuple[Any, ...]:
    values: List[Any] = _of(list, given, at)
    # there may be a million
    if kind is float and set(map(type, values)) == {float} and all(map(math.isfinite, values)):
        return tuple(values)
    return tuple(_read(kind, one, f"{at}[{i}]") for i, one in enumerate(values))


def _scalar(kind: Any, given: Any, at: str) -> Any:
    if kind is not float:
        return _of(kind, given, at)
    # not isinstance: a bool is not a number
    if type(given) in (int, float) and abs(given) <= sys.float_info.max:
        return float(given)
    raise ProtocolError(f"{at} is {_shown(given)}, not a finite number")


def _of(kind: Any, given: Any, at: str) -> Any:
    if type(given) is kind:
        return given
    raise ProtocolError(f"{at} is {_shown(given)}, not {_NAMES[kind]}")


def _at(at: str, key: str) -> str:
    return f"{at}.{key}" if at else str(key)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
