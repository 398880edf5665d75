"""What the host and the agent on a device say to each other: requests and answers, each one JSON object on a line.

Both ends import this file, so it runs on Python 3.8 with the standard library alone. A request names itself under "do";
a failure is answered with the keys "error" and "hint". An array goes before the line that describes it, as raw bytes
after a line `#` with their number: its frame. Both ends are strict: a field that is missing, unknown or of
another type raises ProtocolError, and so does a number that isn't finite.
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Dict, List, Optional, Tuple, Type, TypeVar, Union, get_type_hints

T = TypeVar("T")

_SHOWN = 80  # characters of a wrong value
_NAMES = {list: "a list", dict: "an object", str: "a text", int: "a whole number", bool: "true or false"}


class ProtocolError(ValueError):
    """A message that isn't what this file says, in words."""


# What answers are made of


@dataclass(frozen=True)
class Host:
    """What a device is, whatever runs on it."""

    machine: str
    """Tells devices apart without naming them."""
    arch: str
    os: str
    os_version: str
    cpu: str
    cpu_features: Tuple[str, ...]
    cores: int
    memory_bytes: Optional[int]
    governor: Optional[str]
    python: str


@dataclass(frozen=True)
class Runtime:
    """A runtime as the device has it."""

    version: str
    provider: str
    """What runs artifacts if nothing else is asked for."""
    builds: bool = False
    """Whether it builds an engine from an artifact."""


@dataclass(frozen=True)
class State:
    """The state of the device at one moment: None or nothing where the system does not report it."""

    clocks_mhz: Tuple[float, ...]
    clock_limit_mhz: Optional[float]
    governor: Optional[str]
    temperatures_c: Dict[str, float]
    throttle_count: Optional[int]
    throttled_by: Tuple[str, ...]


@dataclass(frozen=True)
class Node:
    """An operator of the graph as the runtime runs it, and the milliseconds that it takes of one inference."""

    name: str
    op: str
    provider: str
    ms: float
    kind: Optional[str] = None
    """As in `values.Node`, and so are the others: of runtimes whose nodes are not called as ONNX's operators."""
    precision: Optional[str] = None
    kernel: Optional[str] = None


@dataclass(frozen=True)
class Array:
    """What the frame of a message holds: an array in C order, little-endian."""

    dtype: str
    shape: Tuple[int, ...]


# Answers


@dataclass(frozen=True)
class Described:
    """The host, and the runtime that the agent was started with."""

    host: Host
    runtime: Runtime


@dataclass(frozen=True)
class Surveyed:
    """The host, those of the runtimes that the device has, and those of the paths that exist there."""

    host: Host
    runtimes: Dict[str, Runtime]
    exist: Tuple[str, ...]


@dataclass(frozen=True)
class Built:
    """An engine on the device. The seconds are those of building it: None if it was there."""

    path: str
    bytes: int
    seconds: Optional[float]


@dataclass(frozen=True)
class Found:
    """Whether a path exists on the device."""

    exists: bool


@dataclass(frozen=True)
class StateRead:
    """The state, and whether the device reports the energy that it takes."""

    state: State
    energy: bool


@dataclass(frozen=True)
class UsableCpus:
    """The CPUs that the agent may run on, and whether all of them are of one kind, as far as the system reports it."""

    cpus: Tuple[int, ...]
    alike: bool


@dataclass(frozen=True)
class Loaded:
    """An artifact was opened: how long that took, the shapes that it will be fed, and what runs it."""

    load_ms: float
    inputs: Dict[str, Tuple[int, ...]]
    provider: str


@dataclass(frozen=True)
class FirstRun:
    """The first inference."""

    first_ms: float


@dataclass(frozen=True)
class Warmed:
    """Every inference of the warm-up, the median of its last window, and the state after it."""

    samples_ms: Tuple[float, ...]
    latency_ms: float
    state: State


@dataclass(frozen=True)
class Timed:
    """Every inference of a block, the energy that all of them took if it is reported, and the canary before them."""

    samples_ms: Tuple[float, ...]
    energy_mj: Optional[float]
    canary_ms: float


@dataclass(frozen=True)
class Finished:
    """The memory that loading and running took, where the system reports it, and the state after."""

    peak_bytes: Optional[int]
    state: State


@dataclass(frozen=True)
class Traced:
    """The nodes of an artifact, timed over so many inferences."""

    inferences: int
    nodes: Tuple[Node, ...]


@dataclass(frozen=True)
class Evaluated:
    """The first output of each input, one after the other: (N, ...). Its frame is the array."""

    outputs: Array
    provider: str


# Requests


@dataclass(frozen=True)
class Feeds:
    """What an artifact is fed: the values in an .npz file on the device, else random ones."""

    batch: int = 1
    """The size of a first axis that is open."""
    shapes: Dict[str, Tuple[int, ...]] = field(default_factory=dict)
    """Of inputs with open axes, by their names; "" is the only input."""
    seed: int = 0
    file: Optional[str] = None


@dataclass(frozen=True)
class Opening:
    """How an artifact is opened: its path on the device, and the options of the runtime's `open`."""

    path: str
    options: Dict[str, Any] = field(default_factory=dict)
    feeds: Feeds = Feeds()
    affinity: Optional[Tuple[int, ...]] = None
    """The CPUs that the process runs on from then on; None: all of them."""


@dataclass(frozen=True)
class Describe:
    """Import the runtime; answered by Described."""


@dataclass(frozen=True)
class Survey:
    """Which of these runtimes, given by the paths of their modules, and which paths the device has.

    Answered by Surveyed.
    """

    runtimes: Dict[str, str]
    paths: Tuple[str, ...]


@dataclass(frozen=True)
class Build:
    """Build an engine from an artifact, unless the device has one under this key; answered by Built."""

    path: str
    options: Dict[str, Any]
    key: str


@dataclass(frozen=True)
class Exists:
    """Whether there is such a file or folder on the device; answered by Found."""

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


@dataclass(frozen=True)
class First:
    """Run it for the first time; answered by FirstRun."""


@dataclass(frozen=True)
class Warmup:
    """Run it until two windows in turn take equally long, or for so many seconds; answered by Warmed."""

    window_ms: float
    max_s: float
    period_s: Optional[float] = None
    """Between the starts of two inferences; None: one starts when the last has ended."""


@dataclass(frozen=True)
class Block:
    """Run it for so many seconds, or once if that takes longer; answered by Timed."""

    seconds: float
    period_s: Optional[float] = None


@dataclass(frozen=True)
class Finish:
    """Answered by Finished."""


@dataclass(frozen=True)
class Trace:
    """Open an artifact and time its nodes for about so many seconds; answered by Traced."""

    opening: Opening
    seconds: float


@dataclass(frozen=True)
class Evaluate:
    """Run an artifact that takes one input at a time over the inputs in the frame, as fast as the device can.

    The artifact stays open for the next request that names it. Answered by Evaluated.
    """

    path: str
    options: Dict[str, Any]
    inputs: Array
    """(N, ...): N inputs, each without the artifact's first axis."""


Request = Union[Describe, Survey, Build, Exists, ReadState, Cpus, Load, First, Warmup, Block, Finish, Trace, Evaluate]

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
}
"""By what stands under "do"; the agent's method of that name answers it."""


# Between values and JSON


def name_of(request: Request) -> str:
    """What stands under "do"."""
    return next(name for name, kind in REQUESTS.items() if isinstance(request, kind))


def request_document(request: Request) -> Dict[str, Any]:
    """The JSON object of a request."""
    return {"do": name_of(request), **document(request)}


def read_request(message: Any) -> Request:
    """The request in a JSON object. Raises ProtocolError."""
    if not isinstance(message, dict) or message.get("do") not in REQUESTS:
        raise ProtocolError(f"no request: {_shown(message)}; 'do' is one of {', '.join(REQUESTS)}")
    fields = {key: value for key, value in message.items() if key != "do"}
    request: Request = read(REQUESTS[message["do"]], fields)
    return request


def document(value: Any) -> Dict[str, Any]:
    """The JSON object of a request's or an answer's fields."""
    return dataclasses.asdict(value)


def read(kind: Type[T], given: Any, at: str = "") -> T:
    """The value of a dataclass in a JSON object.

    Args:
        kind: the dataclass.
        given: what `json.loads` gave.
        at: where it stands in the message.

    Raises:
        ProtocolError: it isn't one.
    """
    if not isinstance(given, dict):
        raise ProtocolError(f"{at or kind.__name__} is {_shown(given)}, not an object")
    named: Any = kind
    hints = _hints(named)
    for key in given:
        if key not in hints:
            raise ProtocolError(f"{_at(at, key)} is no field of {kind.__name__}")
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
    """A value of any type that a field here has."""
    if kind is Any:
        return given
    if dataclasses.is_dataclass(kind):
        return read(kind, given, at)  # type: ignore[arg-type]
    container: Any = getattr(kind, "__origin__", None)
    arguments: List[Any] = [*getattr(kind, "__args__", ())]
    if container is Union:  # of a type with None: there is no other here
        return None if given is None else _read(arguments[0], given, at)
    if container is tuple:
        return tuple(_read(arguments[0], one, f"{at}[{i}]") for i, one in enumerate(_of(list, given, at)))
    if container is dict:
        return {key: _read(arguments[1], one, _at(at, key)) for key, one in _of(dict, given, at).items()}
    return _scalar(kind, given, at)


def _scalar(kind: Any, given: Any, at: str) -> Any:
    if kind is not float:
        return _of(kind, given, at)
    # not isinstance: true is no number
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
