"""How a file rounds to INT8, which quantisation-aware training simulates."""

from typing import Literal

from edgekd.values.value import Value


class Rounding(Value):
    """The rounding of a precision that computes in integers. Weights are symmetric, with a scale per output channel;
    activations have one scale per tensor.
    """

    symmetric: bool = False
    """Activations are signed with zero point 0; else unsigned, with any zero point."""
    additions: Literal["none", "skip", "all"] = "none"
    """Which inputs of residual additions are rounded besides the inputs of layers. `skip`: the one that isn't the
    output of the convolution with which the runtime fuses the addition.
    """
