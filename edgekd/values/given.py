"""A given ONNX file, as far as it states what it takes and gives."""

from edgekd.values.data import Preprocessing
from edgekd.values.value import Name, PositiveInt, Value


class Takes(Value):
    """The one input of a given file, and what its metadata states of it where edgekd wrote it."""

    name: Name
    dtype: str
    """The name of the type in numpy."""
    shape: tuple[PositiveInt, ...]
    """Of one input, the batch axis, which is 1, first."""
    preprocessing: Preprocessing | None = None
    """None: not stated."""
    classes: tuple[str, ...] | None = None
    """In the order of the logits; None: not stated."""

    @property
    def layout(self) -> str | None:
        """NCHW or NHWC for grey or coloured images; None where it takes none of those."""
        if len(self.shape) != len("NCHW"):
            return None
        return "NCHW" if self.shape[1] in (1, 3) else "NHWC" if self.shape[3] in (1, 3) else None

    @property
    def image(self) -> tuple[int, int, int]:
        """Channels, height and width; only where it has a layout."""
        a, b, c = self.shape[1:]
        return (a, b, c) if self.layout == "NCHW" else (c, a, b)


class Given(Value):
    """A given file after it was looked at."""

    takes: Takes
    outputs: tuple[Name, ...]
    """By name, in their order."""
    classes: PositiveInt | None = None
    """How many logits it gives; None where its outputs aren't classes, or it doesn't state their shape."""
    changed: bool = False
    """Whether the variants' graph differs from the file: a batch fixed to 1, another opset, weights inside …"""
    notes: tuple[str, ...] = ()
    """What was changed, and what wasn't understood."""
