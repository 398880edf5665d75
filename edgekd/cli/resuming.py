"""What is said of a command that failed or was interrupted: where it was, what is kept, how it goes on."""

import contextlib
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path


def way_back(stage: str, folder: Path | None) -> list[str]:
    """Lines about a command that ended in a stage ("": before the first), and about its run folder if it has one."""
    if not stage:
        return []
    lines = [f"it ended in: {stage}"]
    if folder is None or not folder.is_dir():
        return lines
    finished = len([*folder.glob("stages/*/result.json")])
    kept = [f"{finished} finished stage{'s' if finished > 1 else ''}"] if finished else []
    if any(_checkpoints(stage, folder)):
        kept.append("this training up to its last complete epoch")
    if not kept:
        return [*lines, f"kept in {folder}: nothing yet"]
    return [*lines, f"kept in {folder}: {' and '.join(kept)}", f"to go on: {command()}"]


def command() -> str:
    """This command, as it can be typed again."""
    module = Path(sys.argv[0]).name == "__main__.py"
    program = [_found(sys.executable), "-m", "edgekd"] if module else [_found(sys.argv[0])]
    if count := os.environ.get("LOCAL_WORLD_SIZE"):  # of torchrun
        program = ["torchrun", "--nproc-per-node", count, "-m", "edgekd"]
    return shlex.join([*program, *sys.argv[1:]])


def _found(program: str) -> str:
    """Its name where that is enough for a shell, else its path."""
    name = Path(program).name
    return name if shutil.which(name) == program else program


def _checkpoints(stage: str, folder: Path) -> Iterator[Path]:
    """Of the training that the stage was."""
    name = stage.partition(":")[0]
    roots = [folder]
    if name == "teacher":  # is shared by all runs
        from edgekd.errors import StorageError
        from edgekd.store import cache_folder

        with contextlib.suppress(StorageError):
            roots.append(cache_folder())
    for root in roots:
        yield from root.glob(f"stages/.{name}-*.partial/checkpoint.pt")
