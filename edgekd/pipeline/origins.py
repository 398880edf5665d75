"""Where artifacts come from, as their files state it: without paths of the machine that they were made on."""

import hashlib
import json
import os
from pathlib import PurePath
from typing import Any

import edgekd
from edgekd.data.dataset import Dataset
from edgekd.values import Lineage, Recipe, document
from edgekd.values.lineage import DataOrigin, NetworkOrigin
from edgekd.values.network import Network

_SEPARATORS = {"/", "\\"}
_HOME = "home"
"""Stands for the user's home folder, whose name is the user's."""


def lineage(network: Network, data: Dataset, teacher: NetworkOrigin | None) -> Lineage:
    """What an exported network was made from; `teacher` may be the network itself."""
    own = network_origin(network)
    made_from = teacher if teacher != own else None
    return Lineage(edgekd=edgekd.__version__, network=own, teacher=made_from, data=data_origin(data))


def network_origin(network: Network) -> NetworkOrigin:
    """The network, by what decides its outputs."""
    definition = network.definition.key() if network.definition else None
    structure = hashlib.sha256(json.dumps([network.architecture.key(), definition]).encode()).hexdigest()
    return NetworkOrigin(model=network.architecture.model, structure=structure, weights=network.weights.sha256)


def data_origin(data: Dataset) -> DataOrigin:
    """The images of a data set."""
    counts = {"train": len(data.train), "validation": len(data.val), "test": len(data.test)}
    return DataOrigin(name=without_folders(data.name), fingerprint=data.content, **counts)


def stated(recipe: Recipe) -> dict[str, Any]:
    """A recipe as files may state it: paths are reduced to their last part, which home folders and names are not in."""
    found = document(recipe)
    places = [(found, key) for key in ("weights", "target", "budget")]
    places += [(found["data"], "source"), *((further, "weights") for further in found["teachers"])]
    for table, key in places:
        table[key] = without_folders(table[key]) if table[key] else table[key]
    return found


def without_folders(text: str) -> str:
    """A path, or a source such as `folder:PATH`, with the last part of the path alone."""
    kind, colon, where = text.partition(":")
    if not colon or _SEPARATORS & {*kind}:
        kind, colon, where = "", "", text
    if not _SEPARATORS & {*where}:
        return text
    last = PurePath(where.replace("\\", "/")).name
    return f"{kind}{colon}{_HOME if last == PurePath(os.path.expanduser('~')).name else last}"  # noqa: PTH111
