"""Which of an arm's choices makes it as fast as another arm, measured untrained: latency doesn't depend on weights."""

import math
from collections.abc import Iterable, Mapping
from contextlib import suppress

from edgekd.errors import EdgekdError, StorageError, UnsupportedModelError
from edgekd.pipeline.student import beginning
from edgekd.store import fingerprint, remembered
from edgekd.studies._base import Arm, Settings
from edgekd.studies.run.arms import StudyRun
from edgekd.studies.run.cells import stated_structure, untrained
from edgekd.studies.run.latency import exported, latencies
from edgekd.studies.run.teachers import TrainedTeacher
from edgekd.values import Value

_WANTED = "wanted"


class Chosen(Value):
    """One of an arm's choices."""

    index: int
    why: str


def as_fast_settings(run: StudyRun, arm: Arm, other: Arm, teacher: TrainedTeacher) -> Settings:
    """The arm's settings with the choice that makes it as fast as the other; as few multiply-accumulates where nothing
    is measured.

    Raises:
        UnsupportedModelError: none of the choices can be made.
    """
    device = run.device.url if run.device else None
    key = fingerprint({"arm": arm, "other": other, "teacher": teacher.network.key(), "device": device})[:12]
    path = run.run.store.root / "matched" / f"{key}.json"
    chosen = remembered(path, Chosen, lambda: _choose(run, arm, other, teacher))
    run.run.progress.note(f"{arm.name}: {chosen.why}")
    return {**arm.settings, **arm.choices[chosen.index]}


def _choose(run: StudyRun, arm: Arm, other: Arm, teacher: TrainedTeacher) -> Chosen:
    run.run.progress.stage("match", f"{arm.name}: choosing what is as fast as {other.name}")
    options = {str(i): {**arm.settings, **choice} for i, choice in enumerate(arm.choices)}
    found = _costs(run, {_WANTED: other.settings, **options}, teacher)
    if len(found) < 2 or _WANTED not in found:
        raise UnsupportedModelError(f"{arm.name}: none of its choices can be compared with {other.name}")
    wanted = found.pop(_WANTED)
    # where one was measured and another couldn't be, they don't compare
    alike = {key: cost for key, cost in found.items() if cost[1] == wanted[1]}
    best = min(alike or found, key=lambda key: abs(math.log(found[key][0] / wanted[0])))
    text = f"{arm.choices[int(best)]} has {found[best][0]:.3f} of the teacher's {found[best][1]}"
    return Chosen(index=int(best), why=f"{text}, {other.name} {wanted[0]:.3f}")


def _costs(run: StudyRun, options: Mapping[str, Settings], teacher: TrainedTeacher) -> dict[str, tuple[float, str]]:
    """Of each option, its ratio to the teacher's latency if that is measured, else to its multiply-accumulates."""
    files, found = {}, {}
    _prune(run, options.values(), teacher)
    for key, settings in options.items():
        own = run.arm(settings, 0)
        try:
            network = untrained(own, teacher)
            files[key] = exported(own, network, key)
        except StorageError:
            raise
        except EdgekdError as e:
            run.run.progress.note(f"{settings}: left out: {e.message}")
            continue
        found[key] = (network.cost.macs / teacher.network.cost.macs, "multiply-accumulates")
    artifact = exported(own, teacher.network, "teacher")
    measured = latencies(own, artifact, files)
    return {key: (measured[key].ratio.estimate, "latency") if key in measured else found[key] for key in found}


def _prune(run: StudyRun, options: Iterable[Settings], teacher: TrainedTeacher) -> None:
    """Prune to all of them in one process, which takes longer to start than to prune; what can't be is reported where
    it is asked for.
    """
    for settings in options:
        own = run.arm(settings, 0)
        start = beginning(run.run, own.recipe, own.data, teacher.network)
        with suppress(EdgekdError):
            structure = stated_structure(own, start)
            if not structure.is_whole:
                own.pruner.pruned(start, structure)
