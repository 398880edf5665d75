"""What holds for every plug-in of every kind; mypy holds their signatures to the protocol (`tools/plug_ins.py`)."""

import importlib.util
from pathlib import Path
from typing import get_args

import mypy.api
import pytest
from typing_extensions import get_protocol_members

from edgekd import catalog
from edgekd.errors import EdgekdError

ROOT = Path(__file__).parents[1]


def tool():
    spec = importlib.util.spec_from_file_location("plug_ins", ROOT / "tools" / "plug_ins.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


KINDS = {f"{found.base}.{found.name}": found for found in tool().kinds()}
PLUG_INS = [(kind, name) for kind, found in KINDS.items() for name in found.modules]


def kind_of(place):
    found = KINDS[place]
    base = importlib.import_module(found.base)
    return getattr(base, found.name), getattr(base, found.protocol)


@pytest.mark.parametrize("place", KINDS)
def test_a_kind_finds_its_modules_by_their_files_names_alone(place):
    kind, _ = kind_of(place)
    assert kind.package == KINDS[place].package
    assert catalog.names(kind) == list(KINDS[place].modules) != []
    name = KINDS[place].modules[0]
    with pytest.raises(EdgekdError) as e:
        catalog.load(kind, f"{name}x")
    assert e.value.message == f"no {kind.noun} '{name}x'"
    assert f"Did you mean {name!r}?" in e.value.hint


@pytest.mark.parametrize(("place", "name"), PLUG_INS)
def test_a_plug_in_has_the_members_of_its_protocol(place, name):
    kind, protocol = kind_of(place)
    try:
        plug_in = catalog.load(kind, name)
    except EdgekdError as e:
        if not e.message.endswith("isn't installed"):
            raise
        pytest.skip(e.message)
    # of several protocols a module satisfies one
    missing = [
        {member for member in get_protocol_members(one) if not hasattr(plug_in, member)}
        for one in get_args(protocol) or (protocol,)
    ]
    assert set() in missing, missing
    assert plug_in.__doc__, "its first line says what it is"


@pytest.mark.parametrize(
    ("module", "held"),
    [
        ("def run(images: int) -> str:\n    return str(images)\n", True),
        ("def run(images: str) -> str:\n    return images\n", False),
        ("def walk(images: int) -> str:\n    return str(images)\n", False),
    ],
)
def test_mypy_holds_every_module_that_it_finds(tmp_path, module, held):
    base = """
        from dataclasses import dataclass
        from typing import Generic, Protocol, TypeVar
        P = TypeVar("P")
        @dataclass
        class Kind(Generic[P]):
            package: str
            noun: str
        class Thing(Protocol):
            def run(self, images: int) -> str: ...
        THINGS = Kind[Thing]("things", "thing")
    """
    files = {
        "__init__": "",
        "things/__init__": "",
        "things/_base": base.replace("\n        ", "\n"),
        "things/one": module,
    }
    for name, text in files.items():
        path = tmp_path / "edgekd" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (tmp_path / "held.py").write_text(tool().source(tmp_path))
    out, _, status = mypy.api.run(
        ["--config-file=", f"--cache-dir={tmp_path / 'cache'}", str(tmp_path / "held.py"), str(tmp_path / "edgekd")]
    )
    assert (status == 0) is held, out
    assert held or 'expression has type Module, variable has type "Thing"' in out
