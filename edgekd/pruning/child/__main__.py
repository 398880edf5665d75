"""The process itself: `python -m edgekd.pruning.child`, started and limited by `pruning.process`.

Networks that the dependency graph can't follow may run for hours or take all memory, and only a process can be ended.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import torch

from edgekd.devices.agent.host import requests
from edgekd.errors import EdgekdError, is_out_of_memory
from edgekd.pruning.child.opening import Opened, open_network
from edgekd.pruning.child.protocol import (
    REQUEST,
    Answer,
    Failure,
    LossRequest,
    Opening,
    PruneRequest,
    Ready,
    Request,
    ScoresRequest,
    SpaceRequest,
    StructureLoss,
)
from edgekd.pruning.child.writing import write_pruned
from edgekd.pruning.chosen import criterion_of
from edgekd.pruning.explore import scores_of, space_of
from edgekd.pruning.process import UNPRUNED
from edgekd.values import Value
from edgekd.zoo.forward import reason


def main() -> None:
    """Answer the requests on stdin until it ends."""
    answers, opened = _take_stdout(), None
    for line in requests():
        asked = REQUEST.validate_json(line)
        if isinstance(asked, Opening):
            _limit_memory(asked.memory_bytes)
            opened = None  # two may not fit into the memory
            try:
                opened = open_network(asked)
            except Exception as e:  # the user's network may raise anything
                _say(answers, _failure(e, asked.model))
                return
            _say(answers, Ready())
            continue
        assert opened, "nothing was opened"
        try:
            answer: Value = answer_to(asked, opened)
        except Exception as e:  # torch-pruning may raise anything on a structure that is new to it
            answer = _failure(e, opened.asked.model)
        _say(answers, answer)


def answer_to(request: Request, opened: Opened) -> Answer:
    """What is answered to one request; raises as `space_of`, `scores_of` and `write_pruned`."""
    match request:
        case SpaceRequest():
            block = opened.asked.channel_block
            return space_of(opened.model, opened.example, channel_block=block, kinds=request.kinds)
        case ScoresRequest():
            criterion, options = criterion_of(request.judging.criterion, request.judging.options)
            return scores_of(opened.subject(options, request.saved_ms), criterion)
        case PruneRequest():
            return write_pruned(opened, request)
        case LossRequest():
            with _threads(request.threads):
                trials = opened.trials(request.scores, request.images)
                return StructureLoss(loss=trials.loss(request.structure))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Within this context so many compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _failure(error: Exception, model: str) -> Failure:
    if is_out_of_memory(error):
        return Failure(failure="memory")
    if isinstance(error, EdgekdError):
        return Failure(failure=type(error).__name__, message=error.message, hint=error.hint)
    message = f"{model} can't be pruned: the analysis of its channels doesn't support an operation ({reason(error)})"
    return Failure(failure="UnsupportedModelError", message=message, hint=UNPRUNED)


def _say(answers: TextIO, answer: Value) -> None:
    answers.write(json.dumps(answer.model_dump(mode="json")) + "\n")
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
