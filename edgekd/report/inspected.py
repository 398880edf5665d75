"""What is said of a file that was inspected."""

from collections.abc import Iterator, Sequence

from edgekd.report.cells import short
from edgekd.values.inspection import Inspection, Layer, Shape, Tensor

_SHOWN_LAYERS = 30


def head(found: Inspection) -> Iterator[str]:
    """The file, its format, and what goes in and out."""
    yield f"{found.file}: {_format(found)}"
    yield f"SHA-256: {found.sha256}"
    for what, tensors in (("input", found.inputs), ("output", found.outputs)):
        for tensor in tensors:
            yield f"{what}: {_tensor(tensor)}"
    for name, shape in found.counted_for.items():
        yield f"{short(name)} has an open first axis: shapes and MACs below are those for {dimensions(shape)}"


def _format(found: Inspection) -> str:
    if found.ir_version is None:
        return found.format
    opsets = ", ".join(f"{short(domain)} {version}" for domain, version in found.opsets.items())
    made_by = f", by {short(found.producer)}" if found.producer else ""
    return f"{found.format.upper()}, IR version {found.ir_version}, opsets: {opsets}{made_by}"


def layer_rows(found: Inspection, *, all_layers: bool) -> list[list[str]]:
    """The layers, one per row, below the headings."""
    rows = [["layer", "operator", "precision (weights/inputs)", "input", "output", "parameters", "MACs"]]
    return [*rows, *(_layer(layer) for layer in _shown(found, all_layers))]


def rest(found: Inspection, *, all_layers: bool) -> str | None:
    """What the table leaves out."""
    left = len(found.layers) - len(_shown(found, all_layers))
    return f"and {left} more layers: --all shows them" if left else None


def totals(found: Inspection) -> Iterator[str]:
    """Sums, and what isn't in them."""
    of = found.totals
    yield f"layers: {len(found.layers)} of {of.nodes:,} nodes"
    yield f"parameters: {of.parameters:,}"
    yield f"MACs: {of.macs:,} for one inference{_coverage(found)}"
    for gone in found.not_counted:
        yield f"not counted: {short(gone.op)} ({gone.nodes}): {gone.why}"
    if found.shapes_failed:
        yield f"shapes are those that the file states, because inferring them failed: {found.shapes_failed}"
    yield f"bytes: {of.file_bytes:,}" + (f" and {of.external_bytes:,} of external data" if found.external else "")
    for file in found.external:
        size = f"{file.bytes:,} bytes" if file.bytes is not None else "missing, or outside the model's folder"
        yield f"external data: {short(file.path)}: {size}"
    yield f"operators: {', '.join(f'{short(name)} {count}' for name, count in found.operators.items())}"
    yield f"dynamic: {'yes' if found.dynamic else 'no'}"


def dimensions(shape: Shape | None) -> str:
    """A shape as text, with a question mark for an open axis without a name."""
    if shape is None:
        return "unknown"
    return "×".join("?" if axis is None else short(str(axis)) for axis in shape) or "scalar"


def _tensor(tensor: Tensor) -> str:
    return f"{short(tensor.name)}: {tensor.dtype}, {dimensions(tensor.shape)}"


def _shown(found: Inspection, all_layers: bool) -> Sequence[Layer]:
    return found.layers if all_layers else found.layers[:_SHOWN_LAYERS]


def _layer(layer: Layer) -> list[str]:
    return [
        short(layer.name),
        short(layer.op),
        _precision(layer),
        dimensions(layer.input),
        dimensions(layer.output),
        f"{layer.parameters:,}",
        f"{layer.macs:,}" if layer.macs is not None else "not counted",
    ]


def _precision(layer: Layer) -> str:
    stored = f"{layer.weights}/{layer.activations}"
    return (
        layer.precision if {layer.weights, layer.activations} == {layer.precision} else f"{layer.precision} ({stored})"
    )


def _coverage(found: Inspection) -> str:
    share = found.totals.int8_coverage
    return f", {share:.1%} of them in INT8" if share is not None else ""
