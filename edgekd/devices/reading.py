"""Whether a device's version of a runtime reads an ONNX file: found out before anything is sent there.

What each version reads is stated by the runtime's module (`READS`, `OPERATORS`). What isn't known is not refused: the
runtime itself refuses it when it opens the file.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgekd import catalog
from edgekd.errors import UnsupportedModelError
from edgekd.runtimes._base import RUNTIMES, Reads
from edgekd.values import Artifact, Needs

_CPU = "CPUExecutionProvider"

Version = tuple[int, int]


@dataclass(frozen=True)
class Unread:
    """Why a version of a runtime does not read a file, and what does."""

    reasons: tuple[str, ...]
    since: str | None
    """The first version that reads it, such as "1.18"; None: none that is known."""
    export: str
    """How the file is made again so that the version reads it."""


def reads(runtime: str, version: str) -> Reads | None:
    """What a version, such as "1.23.2", reads; None where that isn't known."""
    found = _numbers(version)
    rows = [row for row in _rows(runtime) if found and row["since"] <= found]
    return rows[-1] if rows else None


def unread(artifact: Artifact, version: str) -> Unread | None:
    """Why a version of its runtime does not read an artifact; None where it does, or where that isn't known."""
    needs, row, found = artifact.needs, reads(artifact.runtime, version), _numbers(version)
    if needs is None or row is None or found is None:
        return None
    later = _later(artifact, needs)
    reasons = tuple(_reasons(needs, row, [name for name, since in later.items() if since is None or found < since]))
    if not reasons:
        return None
    known = (one for one in _rows(artifact.runtime) if one["opset"] is not None)
    first = next((one["since"] for one in known if not list(_reasons(needs, one, ()))), None)
    runs = [since for since in later.values() if since is not None]
    since = max([first, *runs]) if first and len(runs) == len(later) else None
    return Unread(reasons, ".".join(map(str, since)) if since else None, _export(needs, row))


def require_readable(artifact: Artifact, version: str, where: str, upgrading: Callable[[str], str]) -> None:
    """Raises UnsupportedModelError if a device's version of its runtime does not read an artifact.

    Args:
        artifact: that is to be sent there.
        version: of its runtime, as the device has it.
        where: the device's name in messages.
        upgrading: from a version to how the device gets it, or a newer one.
    """
    found = unread(artifact, version)
    if found is None:
        return
    message = (
        f"{artifact.file}: {artifact.runtime} {version} on {where} does not read it: {', and '.join(found.reasons)}"
    )
    newer = f"No version of {artifact.runtime} that edgekd knows reads it."
    if found.since:
        newer = f"Or use {artifact.runtime} {found.since} or newer there, which reads it: {upgrading(found.since)}"
    raise UnsupportedModelError(message, f"{found.export} {newer}")


def _rows(runtime: str) -> Sequence[Reads]:
    found: Sequence[Reads] = getattr(catalog.load(RUNTIMES, runtime), "READS", ())
    return found


def _later(artifact: Artifact, needs: Needs) -> Mapping[str, Version | None]:
    """Those of its operators that not every version with their opset runs, and the first that does, if one does."""
    if artifact.variant.settings.get("provider", _CPU) != _CPU:
        return {}
    since: Mapping[str, Version | None] = getattr(catalog.load(RUNTIMES, artifact.runtime), "OPERATORS", {})
    return {name: since[name] for name in needs.operators if name in since}


def _reasons(needs: Needs, row: Reads, lacks: Sequence[str]) -> Iterator[str]:
    limits = (("opset", needs.opset, row["opset"]), ("IR version", needs.ir_version, row["ir_version"]))
    newer = [(what, has, most) for what, has, most in limits if most is not None and has > most]
    if newer:
        has = " and ".join(f"{what} {number}" for what, number, _ in newer)
        yield f"it has {has}, and that version reads up to {' and '.join(f'{what} {most}' for what, _, most in newer)}"
    if lacks:
        yield f"that version does not have {', '.join(sorted(lacks))}"


def _export(needs: Needs, row: Reads) -> str:
    if row["opset"] is not None and needs.opset > row["opset"]:
        own = "`edgekd export --model NAME --weights FILE --device URL` chooses the opset by the device"
        return f"Export the network again with opset {row['opset']} or lower; {own}."
    if row["ir_version"] is not None and needs.ir_version > row["ir_version"]:
        # whatever reads an opset reads the IR version that this opset needs
        return (
            f"Its opset needs no such IR version: set the model's ir_version to {row['ir_version']} and save it again."
        )
    return "Export it without these operators, or with a lower opset."


def _numbers(version: str) -> Version | None:
    parts = version.split(".")[:2]
    return (int(parts[0]), int(parts[1])) if len(parts) == 2 and all(map(str.isdigit, parts)) else None
