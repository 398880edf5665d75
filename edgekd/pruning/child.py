"""The process that prunes: `python -m edgekd.pruning.child`, started and limited by `pruning.pruner`.

Networks that the dependency graph can't follow may run for hours or take all memory, and only a process can be ended.
Reads one JSON request a line: the first says what to prune (`Pruner` lists the fields), then {"do": "levels"},
{"do": "blocks"} or {"do": "prune", "ratio": …, "folder": …} as often as asked, each from the network as it was opened.
All may have "options" in place of the recipe's, and "costs". Every request gets one JSON line of answer; an expected
failure is {"failure": class of edgekd.errors, "message": …, "hint": …}.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from edgekd.devices.agent.host import requests
from edgekd.errors import EdgekdError
from edgekd.pruning.blocks import one_less
from edgekd.pruning.opening import Opened, open_network
from edgekd.pruning.pruner import UNPRUNED
from edgekd.pruning.writing import write_student
from edgekd.zoo.forward import reason


def main() -> None:
    """Answer the requests on stdin until it ends."""
    answers = _take_stdout()
    lines = requests()
    asked = json.loads(next(lines))
    _limit_memory(asked["memory_bytes"])
    try:
        opened = open_network(asked)
    except Exception as e:  # the user's network may raise anything
        _say(answers, _failure(e, asked["model"]))
        return
    _say(answers, {})
    for line in lines:
        try:
            answer = answer_to(json.loads(line), opened)
        except Exception as e:  # torch-pruning may raise anything on a structure that is new to it
            answer = _failure(e, asked["model"])
        _say(answers, answer)


def answer_to(request: Mapping[str, Any], opened: Opened) -> dict[str, Any]:
    """What is answered to one request; raises as `write_student`."""
    subject = opened.subject_of(request)
    if request["do"] == "levels":
        return {"levels": opened.method.levels(subject)}
    if request["do"] == "blocks":
        return {"blocks": one_less(subject)}
    return write_student(opened, subject, ratio=request["ratio"], folder=Path(request["folder"]))


def _failure(error: Exception, model: str) -> dict[str, Any]:
    # what PyTorch's allocator says when the system refuses, as a RuntimeError
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return {"failure": "memory"}
    if isinstance(error, EdgekdError):
        return {"failure": type(error).__name__, "message": error.message, "hint": error.hint}
    message = f"{model} can't be pruned: what follows its channels failed at something new to it ({reason(error)})"
    return {"failure": "UnsupportedModelError", "message": message, "hint": UNPRUNED}


def _say(answers: TextIO, answer: Mapping[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _take_stdout() -> TextIO:
    """The stream for answers. What else prints goes to stderr, so that it can't garble them."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _limit_memory(limit_bytes: int) -> None:
    """Let the system refuse more, where it can: the parent looks only now and then, and a graph can grow fast."""
    try:
        import resource
    except ImportError:  # Windows
        return
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    if hard == resource.RLIM_INFINITY or limit_bytes <= hard:
        resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, hard))


if __name__ == "__main__":
    main()
