"""The user's devices by name, in `devices.toml`, and which of them `--device` means."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from edgekd import catalog, folders
from edgekd.errors import EdgekdError
from edgekd.values import Value

FILE = "devices.toml"

TAG = "tag:"
"""What goes before a tag in place of a device."""

_A_FILE = "Give the path of a TOML file that lists your devices."
_WORD = re.compile(r"[^\W_][\w.-]{0,99}")
_RULE = "use up to 100 letters, digits, '.', '_' and '-', the first a letter or a digit"


def _words(found: Any, what: str) -> Any:
    """Raises ValueError for one that can't be typed after `--device`."""
    for one in found:
        if not (isinstance(one, str) and _WORD.fullmatch(one)):
            raise ValueError(f"{one!r} is no {what}: {_RULE}")
    return found


def _tables(found: Any) -> Any:
    if not isinstance(found, dict):
        raise ValueError("should be tables, one for each device: [devices.NAME]")
    return _words(found, "name")


def _tags(found: Any) -> Any:
    if not isinstance(found, list | tuple):
        raise ValueError('should be a list of texts, such as ["lab"]')
    return _words(found, "tag")


def _url(found: Any) -> Any:
    if not (isinstance(found, str) and re.match("[a-z]+:", found)):
        raise ValueError("should be a URL, such as ssh://lab@orin.local")
    return found


class Listed(Value):
    """One device of the file."""

    url: Annotated[str, BeforeValidator(_url)]
    target: str | None = None
    """What it is measured as, unless `--target` says otherwise."""
    tags: Annotated[tuple[str, ...], BeforeValidator(_tags)] = ()


class Devices(Value):
    """What the file holds: `[devices.NAME]` for each."""

    devices: Annotated[dict[str, Listed], BeforeValidator(_tables)] = Field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """A device that a command is to use."""

    name: str
    """What it was called: a name of the file, or a URL."""
    url: str
    target: str | None = None
    tags: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What messages call it."""
        return called(self.name)


def called(name: str) -> str:
    """What messages call a device of that name or URL."""
    return "this machine" if name == "local:" else name


THIS_MACHINE = Place("local:", "local:")


def known(file: Path | None = None) -> dict[str, Listed]:
    """The devices of that file, or of the user's own, by name.

    Raises:
        EdgekdError: the file can't be read, or a key is unknown or of the wrong type.
    """
    if file:
        return catalog.read_toml(file, Devices, _A_FILE).devices
    found: dict[str, Listed] = {}
    for folder in folders.configs():
        if os.path.lexists(folder / FILE):  # a link to nothing is a mistake, not no file
            found |= catalog.read_toml(folder / FILE, Devices, _A_FILE).devices
    return found


def chosen(given: Sequence[str], file: Path | None = None) -> list[Place]:
    """The devices that are meant by URLs, names and `tag:TAG`, in their order, each once; this machine for none.

    Two names are two devices, also with the same URL: they may state different targets.

    Raises:
        EdgekdError: as `known`, or a name or tag isn't in the file.
    """
    devices = known(file) if any(_is_named(one) for one in given) or file else {}
    found: dict[str, Place] = {}
    for place in (place for one in given for place in _meant(one, devices)):
        found.setdefault(place.name, place)
    return [*found.values()] or [THIS_MACHINE]


def several(given: Sequence[str], places: Sequence[Place]) -> bool:
    """Whether the answer is a list of devices: a tag is one, however many have it."""
    return len(places) > 1 or any(one.startswith(TAG) for one in given)


def every(given: Sequence[str], file: Path | None = None) -> list[Place]:
    """As `chosen`; for none given, all devices of the file, or this machine where there are none."""
    return chosen(given or [*known(file)], file)


def stated_target(place: Place) -> str | None:
    """The target that the file states for a device. Raises EdgekdError where there is none of that name."""
    if place.target is not None:
        try:
            catalog.target(place.target)
        except EdgekdError as e:
            raise EdgekdError(f"{place.name} in {FILE}: {e.message}", e.hint) from e
    return place.target


def only(given: Sequence[str], file: Path | None = None) -> Place:
    """The one device that is meant; this machine for none. Raises as `chosen`, and where several are meant."""
    found = chosen(given, file)
    if len(found) > 1:
        names, what = ", ".join(place.name for place in found), " ".join(f"--device {one}" for one in given)
        raise EdgekdError(f"{what}: {len(found)} devices ({names}), and one is wanted", "Name one of them.")
    return found[0]


def _is_named(given: str) -> bool:
    return given.startswith(TAG) or ":" not in given


def _meant(given: str, devices: Mapping[str, Listed]) -> list[Place]:
    if not _is_named(given):
        return [Place(given, given)]
    if given in devices:
        return [_place(given, devices[given])]
    tag = given.removeprefix(TAG)
    if tag == given:
        raise EdgekdError(
            f"--device {given}: no URL, and no name in {FILE}", f"{_hint(given, devices)}{_as_host(given)}"
        )
    found = [_place(name, one) for name, one in devices.items() if tag in one.tags]
    if not found:
        tags = {tag for one in devices.values() for tag in one.tags}
        raise EdgekdError(f"--device {given}: no device in {FILE} has that tag", _hint(tag, tags))
    return found


def _hint(given: str, names: Mapping[str, Listed] | set[str]) -> str:
    where = " or ".join(str(folder / FILE) for folder in reversed(folders.configs()))
    return catalog.nearest(given, names) if names else f"Give a URL such as local:, or list devices in {where}."


def _as_host(given: str) -> str:
    return f" A host is given as ssh://{given}." if re.fullmatch(r"[\w.-]+(@[\w.-]+)?", given) else ""


def _place(name: str, listed: Listed) -> Place:
    return Place(name, listed.url, listed.target, listed.tags)
