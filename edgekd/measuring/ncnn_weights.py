"""Whether a .bin file holds the weights of a .param file, and no others: ncnn doesn't look at what is left over.

Source of the sizes: what ncnn's layers read when they load a model.
"""

from collections.abc import Iterator, Sequence
from io import SEEK_CUR
from pathlib import Path
from typing import BinaryIO

from edgekd.errors import UnsupportedModelError
from edgekd.runtimes.ncnn import QUANTISED, Layer

_BYTES_OF = {bytes(4): 4, bytes.fromhex("56c00200"): 4, bytes.fromhex("476b3001"): 2, bytes.fromhex("384b0d00"): 1}
"""Of a value, by what precedes an array: two words for fp32, those of fp16 and INT8."""

_WITHOUT = frozenset(
    name
    for names in (
        "BinaryOp Clip Concat Crop Dropout ELU Flatten HardSigmoid HardSwish Input Mish Noop Permute Pooling",
        "Reduction ReLU Reshape ShuffleChannel Sigmoid Slice Softmax Softplus Split Swish TanH UnaryOp",
    )
    for name in names.split(" ")
)
"""Layers that have no weights, whatever their parameters."""
_MATRIX = {"InnerProduct": ("2", "1"), "Convolution": ("6", "5"), "ConvolutionDepthWise": ("6", "5")}
"""The parameters that say how many weights there are, and whether there is a bias."""


def require_matching(layers: Sequence[Layer], weights: Path) -> None:
    """Raises UnsupportedModelError if the file isn't as long as the layers' weights; one with layers of which edgekd
    doesn't know the weights isn't refused.
    """
    if not all(map(_is_known, layers)):
        return
    with weights.open("rb") as file:
        for layer in layers:
            if layer.kind in QUANTISED:
                _skip_array(file, layer.integer(_MATRIX[layer.kind][0]))
            file.seek(4 * sum(_floats(layer)), SEEK_CUR)
        wanted, found = file.tell(), weights.stat().st_size
    if wanted != found:
        what = f"{weights}: has {found:,} bytes, and the layers of the .param file beside it have weights of {wanted:,}"
        raise UnsupportedModelError(what, "Copy both files again: they belong together.")


def _skip_array(file: BinaryIO, count: int) -> None:
    """Skip an array with its type; one of another type is skipped to where no file ends."""
    size = count * _BYTES_OF.get(file.read(4), 1 << 20)
    file.seek(size + -size % 4, SEEK_CUR)


def _floats(layer: Layer) -> Iterator[int]:
    """How many further weights, in fp32, a layer has."""
    if layer.kind in ("Scale", "PReLU"):
        # a negative number of channels: the scale is an input, and nothing is stored
        yield max(0, layer.integer("0")) * (1 + layer.integer("1") if layer.kind == "Scale" else 1)
    if layer.kind in QUANTISED:
        outputs, term = layer.integer("0"), layer.integer("8")
        yield outputs if layer.integer(_MATRIX[layer.kind][1]) else 0
        if term:
            yield (layer.integer("7") if term % 100 == 1 else 1) if layer.kind == "ConvolutionDepthWise" else outputs
            yield 2 if term > 100 else 1


def _is_known(layer: Layer) -> bool:
    if layer.kind == "Padding":
        return not layer.integer("6")  # values for each channel
    if layer.kind in QUANTISED:
        return not layer.integer("19")  # weights that are an input
    return layer.kind in _WITHOUT or layer.kind in ("Scale", "PReLU")
