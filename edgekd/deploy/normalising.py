"""A network with its normalisation in front, as it is exported where its file is to take pixels."""

import torch
from torch import Tensor, nn

from edgekd.values import Feeding, Preprocessing


class Normalising(nn.Module):
    """A network with the normalisation in front: it takes pixels (1, H, W, C) uint8, as decoders give them."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", 255 * torch.tensor(preprocessing.mean, dtype=torch.float32))
        self.register_buffer("std", 255 * torch.tensor(preprocessing.std, dtype=torch.float32))

    def forward(self, pixels: Tensor) -> Tensor:
        """The logits (1, classes)."""
        # a cast comes first because TensorRT takes uint8 nowhere else; the axes are turned last because ONNX Runtime
        # drops that where its convolutions want them as they were
        values = (pixels.to(torch.float32) - self.mean) / self.std
        logits: Tensor = self.network(values.permute(0, 3, 1, 2).contiguous())
        return logits


def exported_name(parameter: str, feeding: Feeding) -> str:
    """What a parameter of a network is called in what `graph` gives for it."""
    return parameter if feeding.normalised_by == "caller" else f"network.{parameter}"


def graph(network: nn.Module, example: Tensor, feeding: Feeding) -> tuple[nn.Module, Tensor]:
    """What is exported of a network that takes `example` (1, C, H, W), and an example of what that takes."""
    if feeding.normalised_by == "caller":
        return network, example
    _, channels, height, width = example.shape
    pixels = torch.zeros(1, height, width, channels, dtype=torch.uint8)
    return Normalising(network, feeding.preprocessing).eval(), pixels
