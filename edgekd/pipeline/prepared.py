"""Prepare: the graph that a given file's variants are made of."""

import re
from dataclasses import dataclass

from edgekd import files
from edgekd.deploy.given.prepared import Size, prepared
from edgekd.measuring.artifact import describe
from edgekd.pipeline.written import Graph
from edgekd.run import Workspace
from edgekd.values import Artifact, Value
from edgekd.values.given import Given


@dataclass(frozen=True)
class Preparing:
    """The inputs of the stage that prepares a given file."""

    artifact: Artifact
    size: Size | None
    """Height and width of images, where the file leaves them open."""
    max_opset: int | None
    """The highest that the target's runtimes read."""


class Prepared(Value):
    """A given file as variants are made of it."""

    graph: Graph
    given: Given


def prepare_stage(inputs: Preparing, at: Workspace) -> Prepared:
    """Prepare a file. Raises UnsupportedModelError if no variants can be made of it."""
    name = plain(inputs.artifact.path.stem)
    model, given = prepared(inputs.artifact.path, inputs.size, inputs.max_opset)
    # not the given file's name: in its own folder the variants mustn't replace it
    path = at.folder / f"{name}-fp32.onnx"
    files.write_bytes(path, model.SerializeToString())
    graph = Graph(exporter="", artifact=describe(path, name=name, runtime="", precision=""))
    return Prepared(graph=graph, given=given)


def plain(stem: str) -> str:
    """A file's stem as a part of other files' names."""
    return re.sub(r"[^\w.=+-]+", "-", stem) or "model"
