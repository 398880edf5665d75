"""Which dense convolutions train faster as products of matrices than by oneDNN's kernels, in bf16 on this CPU.

Forward and backward pass of one convolution, both ways in turns; the median of the turns' ratios counts. The last
column says which ones `convolutions = "matrices"` computes as matrices; a training times that as a whole.

    python tools/bench/convolutions.py --batch-size 128
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from edgekd.training.convolutions import has_small_maps, matrix_convolution

# kernel, channels, outputs, pixels a side: of VGG-11, MobileNetV1, ResNets and their pruned students on small images
_SHAPES = [
    (3, 16, 16, 28),
    (3, 64, 64, 7),
    (3, 128, 256, 7),
    (3, 256, 256, 7),
    (3, 64, 64, 4),
    (3, 128, 128, 4),
    (3, 256, 256, 4),
    (3, 512, 512, 4),
    (3, 128, 128, 2),
    (3, 512, 512, 2),
    (1, 16, 32, 28),
    (1, 32, 64, 14),
    (1, 64, 64, 14),
    (1, 32, 192, 7),
    (1, 64, 128, 7),
    (1, 128, 128, 7),
    (1, 128, 256, 4),
    (1, 256, 256, 4),
    (1, 512, 512, 4),
    (1, 256, 512, 2),
    (1, 512, 512, 2),
]


def seconds(run: Callable[[], Tensor], inputs: tuple[Tensor, Tensor], onto: Tensor) -> float:
    """Of one pass forwards and backwards."""
    start = time.perf_counter()
    torch.autograd.grad(run(), inputs, onto)
    return time.perf_counter() - start


def compare(shape: tuple[int, int, int, int], batch: int, rounds: int) -> tuple[float, bool]:
    """How many times the time of the matrices oneDNN takes, and whether its maps are small."""
    kernel, channels, outputs, side = shape
    padding = (kernel // 2, kernel // 2)

    def tensor(*sizes: int) -> Tensor:
        return torch.randn(sizes, dtype=torch.bfloat16).to(memory_format=torch.channels_last)

    images = tensor(batch, channels, side, side).requires_grad_()
    weight = tensor(outputs, channels, kernel, kernel).requires_grad_()
    onto = tensor(batch, outputs, side, side)
    ways = (
        lambda: torch.conv2d(images, weight, padding=padding),
        lambda: matrix_convolution(images, weight, padding),
    )
    turns = [[seconds(way, (images, weight), onto) for way in ways] for _ in range(rounds + 1)][1:]
    return statistics.median(onednn / matrices for onednn, matrices in turns), has_small_maps(images, weight)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    table = Table("kernel", "channels", "outputs", "pixels", "oneDNN ÷ matrices", '"matrices" takes')
    for shape in _SHAPES:
        kernel, channels, outputs, side = shape
        ratio, matrices = compare(shape, options.batch_size, options.rounds)
        sizes = (f"{kernel}×{kernel}", str(channels), str(outputs), f"{side}×{side}")
        table.add_row(*sizes, f"{ratio:.2f}", "matrices" if matrices else "oneDNN")
    Console().print(table)


if __name__ == "__main__":
    main()
