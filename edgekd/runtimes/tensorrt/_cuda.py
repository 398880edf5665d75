"""CUDA's runtime library, by ctypes: memory, copies, streams and events. Its errors become ValueErrors in words.

Sources: CUDA Runtime API, whose numbers below are part of its stable interface.
"""

from __future__ import annotations

import ctypes
from ctypes import byref, c_char_p, c_float, c_int, c_size_t, c_uint, c_void_p
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._library import MissingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TO_DEVICE, _TO_HOST = 1, 2  # cudaMemcpyKind
_SPIN, _BLOCK = 1, 4  # cudaDeviceScheduleSpin, cudaDeviceScheduleBlockingSync
_NON_BLOCKING = 1  # cudaStreamNonBlocking
_MAJOR, _MINOR = 75, 76  # cudaDevAttrComputeCapabilityMajor, …Minor

_NAMES = ("libcudart.so", "libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0")
_FOLDERS = ("cuda*/lib64", "cuda*/targets/*/lib")
_INSTALL = "On a Jetson: sudo apt-get install cuda-cudart-12-6 (the version of its JetPack), or set LD_LIBRARY_PATH."

_TAKES: dict[str, Sequence[Any]] = {
    "cudaDeviceGetAttribute": (c_void_p, c_int, c_int),
    "cudaEventCreate": (c_void_p,),
    "cudaEventDestroy": (c_void_p,),
    "cudaEventElapsedTime": (c_void_p, c_void_p, c_void_p),
    "cudaEventRecord": (c_void_p, c_void_p),
    "cudaFree": (c_void_p,),
    "cudaMalloc": (c_void_p, c_size_t),
    "cudaMemcpyAsync": (c_void_p, c_void_p, c_size_t, c_int, c_void_p),
    "cudaSetDeviceFlags": (c_uint,),
    "cudaStreamCreateWithFlags": (c_void_p, c_uint),
    "cudaStreamDestroy": (c_void_p,),
    "cudaStreamSynchronize": (c_void_p,),
}


class Cuda:
    """CUDA's runtime library. Handles and addresses on the device are whole numbers.

    Its methods raise ValueError with CUDA's own words.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        for name, takes in _TAKES.items():
            function = getattr(library, name)
            function.argtypes, function.restype = takes, c_int
        library.cudaGetErrorString.argtypes, library.cudaGetErrorString.restype = (c_int,), c_char_p

    def compute_capability(self) -> str:
        """Of the first GPU, such as "8.7"."""
        major, minor = c_int(), c_int()
        for value, attribute in ((major, _MAJOR), (minor, _MINOR)):
            self._call("cudaDeviceGetAttribute", byref(value), attribute, 0)
        return f"{major.value}.{minor.value}"

    def wait_awake(self, awake: bool) -> None:
        """Whether the host spins while it waits for the GPU, or sleeps."""
        self._call("cudaSetDeviceFlags", _SPIN if awake else _BLOCK)

    def allocate(self, size: int) -> int:
        """The address of so many bytes on the device."""
        return self._made("cudaMalloc", max(1, size), what=f" of {size / 1e6:.1f} MB")

    def free(self, address: int) -> None:
        """Give memory back."""
        self._call("cudaFree", address)

    def to_device(self, address: int, array: Any, stream: int) -> None:
        """Begin to copy a contiguous numpy array there."""
        self._call("cudaMemcpyAsync", address, array.ctypes.data, array.nbytes, _TO_DEVICE, stream)

    def to_host(self, array: Any, address: int, stream: int) -> None:
        """Begin to fill a contiguous numpy array from there."""
        self._call("cudaMemcpyAsync", array.ctypes.data, address, array.nbytes, _TO_HOST, stream)

    def stream(self) -> int:
        """A new stream."""
        return self._made("cudaStreamCreateWithFlags", _NON_BLOCKING)

    def synchronize(self, stream: int) -> None:
        """Wait until all that was begun in the stream is done."""
        self._call("cudaStreamSynchronize", stream)

    def end_stream(self, stream: int) -> None:
        """Destroy it."""
        self._call("cudaStreamDestroy", stream)

    def event(self) -> int:
        """A new event."""
        return self._made("cudaEventCreate")

    def record(self, event: int, stream: int) -> None:
        """Note the time when the stream gets there."""
        self._call("cudaEventRecord", event, stream)

    def elapsed_ms(self, start: int, end: int) -> float:
        """Between two events that were recorded and reached."""
        found = c_float()
        self._call("cudaEventElapsedTime", byref(found), start, end)
        return found.value

    def end_event(self, event: int) -> None:
        """Destroy it."""
        self._call("cudaEventDestroy", event)

    def _made(self, function: str, *arguments: int, what: str = "") -> int:
        """What a function makes, which it writes where its first argument points."""
        made = c_void_p()
        self._call(function, byref(made), *arguments, what=what)
        return made.value or 0

    def _call(self, function: str, *arguments: Any, what: str = "") -> None:
        code = getattr(self._library, function)(*arguments)
        if code:
            words = self._library.cudaGetErrorString(code).decode("utf-8", "replace")
            raise ValueError(f"CUDA: {words} (error {code} of {function}{what})")


@lru_cache(maxsize=None)
def load() -> Cuda:
    """The library that TensorRT uses, or else one that the system has. Raises MissingError if there is none."""
    for name in _candidates():
        try:
            return Cuda(ctypes.CDLL(name))
        except OSError:
            continue
    raise MissingError("CUDA's runtime library (libcudart.so) isn't found", _INSTALL)


def _candidates() -> Iterator[str]:
    maps = Path("/proc/self/maps")
    lines = maps.read_text(encoding="utf-8", errors="replace").splitlines() if maps.exists() else []
    yield from dict.fromkeys(line.split(maxsplit=5)[5] for line in lines if "/libcudart.so" in line)
    yield from _NAMES
    for folder in _FOLDERS:
        yield from map(str, sorted(Path("/usr/local").glob(f"{folder}/libcudart.so*"), reverse=True))
