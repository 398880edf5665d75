"""Runs the user's own code, a network's forward and backward pass: it may raise anything, and the fault is its own."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from edgekd.errors import EdgekdError, UnsupportedModelError, is_out_of_memory

_LONGEST = 400


@contextmanager
def own_words(what: str, hint: str) -> Iterator[None]:
    """Within this context whatever is raised becomes an UnsupportedModelError: `what`, and what was raised, in its own
    words. An EdgekdError stays as it is, and so does what says that memory ran out.
    """
    try:
        yield
    except EdgekdError:
        raise
    except Exception as e:
        if is_out_of_memory(e):
            raise
        raise UnsupportedModelError(f"{what}: {reason(e)}", hint) from e


def reason(error: Exception) -> str:
    """What was raised, in one line: the first one that says anything, and the kind where that says more."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0][:_LONGEST] if lines else ""
    if text and isinstance(error, RuntimeError | ValueError | TypeError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def run(model: nn.Module, images: Tensor) -> object:
    """What the network gives for images (B, C, H, W).

    Raises:
        UnsupportedModelError: its forward raised something.
    """
    mode = "training" if model.training else "evaluation"
    hint = (
        "Show it images of its size (--size) and colour ([data] colour), choose a model for these, or mend its "
        f"forward: it is in {mode} mode."
    )
    with own_words(f"the network's forward fails on images {tuple(images.shape)} in {mode} mode", hint):
        given: object = model(images)
    return given
