import struct
import sys
from pathlib import Path

import pytest

from edgekd.devices.bundle import elf

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="its programs are of another format")


def test_a_program_needs_its_loader_and_its_libraries():
    found = elf.needs(Path("/bin/sh").resolve())
    assert "libc.so.6" in found.libraries
    assert Path(found.loader).name.startswith("ld-linux")


def test_a_library_has_no_loader():
    import onnxruntime

    (library,) = (Path(onnxruntime.__file__).parent / "capi").glob("onnxruntime_pybind11_state*.so")
    found = elf.needs(library)
    assert found.loader is None
    assert {"libstdc++.so.6", "libc.so.6"} <= set(found.libraries)


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n", b"\x7fELF\x01\x01" + bytes(60)])
def test_other_files_are_none(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    assert elf.needs(tmp_path / "file") is None


def test_what_is_linked_statically_needs_nothing(tmp_path):
    header = b"\x7fELF\x02\x01" + bytes(26) + struct.pack("<Q", 64) + bytes(14) + struct.pack("<HH", 56, 0) + bytes(10)
    (tmp_path / "program").write_bytes(header)
    assert elf.needs(tmp_path / "program") == elf.Needs((), None)
