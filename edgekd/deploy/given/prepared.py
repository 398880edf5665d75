"""The graph that a given file's variants are made of: one input at a time, in an opset that they can be written in."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import onnx
from onnx import TensorProto, defs, helper, inliner, shape_inference

from edgekd import onnx_file
from edgekd.deploy.given.stated import stated
from edgekd.deploy.given.usable import require_usable
from edgekd.deploy.opset import lower_ir_version
from edgekd.deploy.quantise.simplify import opset
from edgekd.errors import UnsupportedModelError
from edgekd.values.given import Given, Takes

_INTEGERS_FROM = 13
"""The opset from which weights can be quantised by channel."""
_INPUTS = {TensorProto.FLOAT: "float32", TensorProto.UINT8: "uint8"}
Size = tuple[int, int]
"""Height and width."""


def prepared(path: Path, size: Size | None, max_opset: int | None) -> tuple[onnx.ModelProto, Given]:
    """The model in a given file with its weights inside, a batch of one image and no functions.

    Args:
        path: the file; it isn't changed.
        size: of images, where the file leaves it open.
        max_opset: the highest that the runtimes of the target read; None: not known.

    Raises:
        UnsupportedModelError: no variants can be made of it.
        StorageError: it can't be read.
    """
    model = onnx_file.read(path)
    external = onnx_file.external_files(model, path)
    require_usable(model, path)
    names = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in names]
    if len(inputs) != 1:
        what = f"{path}: has {len(inputs)} inputs ({', '.join(value.name for value in inputs) or 'none'})"
        raise UnsupportedModelError(f"{what}; variants are made of models with one", "Export it with one input.")
    notes: list[str] = []
    if external:
        notes.append("the given file keeps its weights in a second file; those of the variants hold them inside")
    model = onnx.load(path)
    before = opset(model)
    shape, fixed = _shape(inputs[0], path, size)
    if fixed:
        notes.append(f"its axes {fixed} are open; the input {inputs[0].name} of the variants is {_by(shape)}")
        model = _with_shape(model, inputs[0].name, shape)
    if model.functions:
        model = inliner.inline_local_functions(model)
    model = shape_inference.infer_shapes(_in_opset(model, max_opset, notes.append))
    lower_ir_version(model)
    kind = _INPUTS[inputs[0].type.tensor_type.elem_type]
    takes = Takes(name=inputs[0].name, dtype=kind, shape=shape, **stated(model, path, notes.append))
    return model, Given(
        takes=takes,
        outputs=tuple(value.name for value in model.graph.output),
        classes=_classes(model),
        changed=bool(external or fixed or opset(model) != before),
        notes=tuple(notes),
    )


def _classes(model: onnx.ModelProto) -> int | None:
    """How many logits a model with fixed shapes gives; None where it gives something else, or doesn't state it."""
    if len(model.graph.output) != 1:
        return None
    axes = [axis.dim_value for axis in model.graph.output[0].type.tensor_type.shape.dim]
    return axes[1] if len(axes) == 2 and axes[1] > 1 else None


def _shape(value: onnx.ValueInfoProto, path: Path, size: Size | None) -> tuple[tuple[int, ...], str]:
    """The shape of one input, and the names of the axes that are open in the file."""
    if (kind := value.type.tensor_type.elem_type) not in _INPUTS:
        name = TensorProto.DataType.Name(kind).lower()
        raise UnsupportedModelError(
            f"{path}: its input {value.name!r} is {name}", "Variants are made of models that take float32 or uint8."
        )
    axes = value.type.tensor_type.shape.dim
    sizes = [max(0, axis.dim_value) for axis in axes]  # some converters write -1 for an open one
    if len(sizes) < 2:
        what = f"{path}: its input {value.name!r} has {len(sizes)} axes"
        raise UnsupportedModelError(what, "Variants are made of models with a batch of images as input.")
    if sizes[0] > 1:
        what = f"{path}: takes {sizes[0]} images at a time, and devices run one"
        raise UnsupportedModelError(what, "Export it with a batch of 1, or with an open batch axis.")
    opened = [axis.dim_param or f"#{i}" for i, axis in enumerate(axes) if axis.dim_value < 1]
    sizes[0] = 1
    for axis, side in zip(_sides(sizes), size or (), strict=False):
        if sizes[axis] not in (0, side):
            what = f"--size: {path} takes images of {_by([sizes[i] for i in _sides(sizes)])} pixels"
            raise UnsupportedModelError(what, "Leave --size out.")
        sizes[axis] = side
    if any(side < 1 for side in sizes):
        what = f"{path}: its axes {', '.join(opened)} are open, so the size of its images isn't stated"
        raise UnsupportedModelError(what, "State it with --size 224, or 240x320 (height x width).")
    return tuple(sizes), ", ".join(opened)


def _sides(sizes: list[int]) -> tuple[int, ...]:
    """Which axes are height and width."""
    if len(sizes) != len("NCHW"):
        return ()
    return (1, 2) if sizes[3] in (1, 3) and sizes[1] not in (1, 3) else (2, 3)


def _by(sizes: Iterator[int] | list[int] | tuple[int, ...]) -> str:
    return "x".join(map(str, sizes))


def _with_shape(model: onnx.ModelProto, name: str, shape: tuple[int, ...]) -> onnx.ModelProto:
    """The model with that shape of its input, and all others inferred anew."""
    del model.graph.value_info[:]
    known: dict[str, int] = {}
    for value in model.graph.input:
        if value.name == name:
            for axis, side in zip(value.type.tensor_type.shape.dim, shape, strict=True):
                if axis.dim_param:
                    known[axis.dim_param] = side
                axis.dim_value = side
    for value in model.graph.output:
        for axis in value.type.tensor_type.shape.dim:
            _fix(axis, known)
    return shape_inference.infer_shapes(model)


def _fix(axis: onnx.TensorShapeProto.Dimension, known: Mapping[str, int]) -> None:
    if axis.dim_param in known:
        axis.dim_value = known[axis.dim_param]


def _in_opset(model: onnx.ModelProto, most: int | None, note: Callable[[str], None]) -> onnx.ModelProto:
    """The model in an opset from which INT8 can be written, and which the runtimes read, where ONNX can convert it."""
    found = opset(model)
    wanted = max(found, _INTEGERS_FROM) if most is None else min(max(found, _INTEGERS_FROM), most)
    if wanted == found:
        return model
    try:
        plain = _without_newer_defaults(model, wanted) if wanted < found else model
        converted = onnx.version_converter.convert_version(plain, wanted)
        onnx.checker.check_model(converted)
    except Exception as e:  # whatever its C++ raises for an operator that it can't convert
        reason = " ".join(str(e).split())[:200]
        note(f"its opset {found} can't be converted to {wanted}, so some variants can't be written: {reason}")
        return model
    note(f"the variants are in opset {wanted}; the given file is in {found}")
    return converted


def _without_newer_defaults(model: onnx.ModelProto, wanted: int) -> onnx.ModelProto:
    """The model without attributes that operators don't have in that lower opset, where they say what holds without
    them: exporters state such as `noop_with_empty_axes = 0`, and ONNX's converter refuses them.
    """
    found, model = opset(model), onnx.ModelProto.FromString(model.SerializeToString())
    for node in model.graph.node:
        if node.domain or not defs.has(node.op_type, wanted):
            continue
        older = defs.get_schema(node.op_type, wanted, "").attributes
        now = defs.get_schema(node.op_type, found, "").attributes
        for one in list(node.attribute):
            if one.name not in older and one.name in now and _is_default(one, now[one.name].default_value):
                node.attribute.remove(one)
    return model


def _is_default(stated: onnx.AttributeProto, default: onnx.AttributeProto) -> bool:
    return stated.type == default.type and helper.get_attribute_value(stated) == helper.get_attribute_value(default)
