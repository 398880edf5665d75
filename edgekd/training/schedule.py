"""The learning-rate schedule."""

import math


def steps_per_epoch(train_images: int, batch_size: int) -> int:
    """Batches of an epoch, the last incomplete one left out unless it is the only one."""
    return max(1, train_images // batch_size)


def learning_rate(step: int, steps: int, peak: float, warmup: float) -> float:
    """The learning rate of step 0 … `steps` - 1: a linear rise over the first `warmup` fraction, then a half cosine
    to 0 (I. Loshchilov, F. Hutter, "SGDR", 2017, arXiv:1608.03983, equation 5, without restarts).

    It is never 0 during the training.
    """
    rising = round(warmup * steps)
    if step < rising:
        return peak * (step + 1) / rising
    return peak / 2 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))
