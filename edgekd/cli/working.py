"""A verb at work: as loud as it was asked to be, and with the way back if it fails or is interrupted."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgekd.cli.panels import loudness
from edgekd.cli.resuming import way_back
from edgekd.console.progress import ConsoleProgress
from edgekd.signals import Interrupted


@contextmanager
def working(folder: Path | None = None) -> Iterator[ConsoleProgress]:
    """The progress of a verb.

    What it raises gets notes (`BaseException.add_note`): the stage that it was in, what is kept, and how it goes on.

    Args:
        folder: the run folder that keeps finished stages; None: the verb keeps nothing.
    """
    with ConsoleProgress(loudness.get()) as progress:
        try:
            yield progress
        except KeyboardInterrupt as e:
            ended = Interrupted()
            _note(ended, progress.current, folder)
            raise ended from e
        except Exception as e:
            _note(e, progress.current, folder)
            raise


def _note(ended: BaseException, stage: str, folder: Path | None) -> None:
    for line in way_back(stage, folder):
        ended.add_note(line)
