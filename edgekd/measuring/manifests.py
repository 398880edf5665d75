"""Manifests beside a model's file."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgekd import catalog
from edgekd.errors import EdgekdError
from edgekd.files import read_text
from edgekd.values import Manifest
from edgekd.values.inspection import Beside

_EARLIER, _TODAY = "edgekd.manifest/1", "edgekd.manifest/2"
_KIND = "edgekd.manifest/"
_LONGEST = 10_000_000
_MOST_FILES = 1_000
"""JSON files of a folder that are looked at."""


def beside(path: Path, sha256: str) -> tuple[Beside, ...]:
    """The manifests in the folder of a model's file that are of that file, by name or by what they state.

    Args:
        path: the model's file.
        sha256: its SHA-256.
    """
    own = path.with_suffix(".json")
    others = sorted(islice(path.parent.glob("*.json"), _MOST_FILES))
    return tuple(
        _judged(file.name, document, sha256)
        for file in dict.fromkeys([own, *others])
        for document in _documents(file)
        if file == own or document.get("file") == path.name
    )


def read_manifest(document: dict[str, Any], where: str) -> Manifest:
    """The manifest in a document of this version or of the one before, which had no lineage.

    Raises:
        EdgekdError: the document is of another version, or has an invalid field.
    """
    version = document.get("schema_version")
    if version not in (_EARLIER, _TODAY):
        what = f"{where}: schema_version {str(version)[:80]!r} is not supported"
        raise EdgekdError(what, "Use the version of edgekd that wrote it.")
    try:
        return Manifest.model_validate_json(json.dumps({**document, "schema_version": _TODAY}))
    except ValidationError as e:
        raise EdgekdError(*catalog.explain(e, where, Manifest)) from e


def _documents(file: Path) -> Iterator[dict[str, Any]]:
    """The manifest in a JSON file, if it is one."""
    try:
        text = read_text(file, hint="", at_most=_LONGEST)
        found = json.loads(text) if _KIND in text else None
    except (EdgekdError, ValueError, RecursionError):  # whatever else lies there
        return
    if isinstance(found, dict) and str(found.get("schema_version")).startswith(_KIND):
        yield found


def _judged(name: str, document: dict[str, Any], sha256: str) -> Beside:
    try:
        found = read_manifest(document, name)
    except EdgekdError as e:
        return Beside(file=name, problem=e.message)
    if found.sha256 != sha256:
        return Beside(file=name, problem="it is of a file with another SHA-256: that one or this file was changed")
    return Beside(file=name, manifest=found)
