"""Which of an arm's choices makes it as fast as it should be, measured untrained: latency doesn't depend on weights."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from edgekd.errors import EdgekdError, StorageError, UnsupportedModelError
from edgekd.pipeline.measuring import QUICK, TargetDevice
from edgekd.store import cache_key, remembered
from edgekd.studies._base import Arm, structural
from edgekd.studies.run.arms import StudyRun
from edgekd.studies.run.cells import structure_key, untrained
from edgekd.studies.run.latency import TEACHER, exported, measured
from edgekd.studies.run.teachers import TrainedTeacher
from edgekd.values import Value
from edgekd.values.network import Network

_OWN, _WANTED = "own", "wanted"


class Chosen(Value):
    """One of an arm's choices."""

    index: int
    why: str


@dataclass(frozen=True)
class _Compared:
    """A choice beside what it should be like, as ratios to the teacher's."""

    index: int
    own: float
    wanted: float
    of: str

    @property
    def off(self) -> float:
        """How far they are apart."""
        return abs(math.log(self.own / self.wanted))


def as_fast(run: StudyRun, arm: Arm, other: Arm | None, teacher: TrainedTeacher) -> Arm:
    """The arm with the choice that makes it as fast as the other, or that takes its `latency_ratio`; with as few
    multiply-accumulates where nothing is measured.

    Raises:
        UnsupportedModelError: none of the choices can be made.
    """
    device = TargetDevice(run.device, run.target).key() if run.device else None
    alike = structural(arm.settings), arm.choices, arm.latency_ratio, structural(other.settings) if other else None
    key = cache_key({"choice": alike, "teacher": teacher.network.key(), "device": device})[:12]
    run.run.progress.stage("match", f"{arm.name}: choosing what is as fast as {other.name if other else 'wanted'}")
    path = run.run.store.root / "matched" / f"{key}.json"
    chosen = remembered(path, Chosen, lambda: _Choice(run, arm, other, teacher).made())
    run.run.progress.note(f"{arm.name}: {chosen.why}")
    return arm.choosing(arm.choices[chosen.index], chosen.why)


@dataclass(frozen=True)
class _Choice:
    run: StudyRun
    arm: Arm
    other: Arm | None
    teacher: TrainedTeacher

    def made(self) -> Chosen:
        """By bisection: fewer multiply-accumulates are faster, but for steps of the staircase."""
        networks = self._networks()
        if not networks:
            raise UnsupportedModelError(f"{self.arm.name}: none of its choices can be made")
        order = sorted(networks, key=lambda index: -networks[index].cost.macs)
        low, high, found = -1, len(order), list[_Compared]()
        while high - low > 1:
            middle = (low + high) // 2
            found.append(self._compared(order[middle], networks[order[middle]]))
            low, high = (middle, high) if found[-1].own > found[-1].wanted else (low, middle)
        # where one was measured and another couldn't be, they don't compare
        best = min([one for one in found if one.of == "latency"] or found, key=lambda one: one.off)
        stated = ", ".join(f"{key} = {value}" for key, value in self.arm.choices[best.index].items())
        what = f"{stated} is the nearest of {len(found)} that were compared"
        why = f"{what}: {best.own:.3f} of the teacher's {best.of}, where {best.wanted:.3f} was wanted"
        return Chosen(index=best.index, why=why)

    def _networks(self) -> dict[int, Network]:
        """The choices, untrained, those of one structure once."""
        found: dict[str, tuple[int, Network]] = {}
        for index, choice in enumerate(self.arm.choices):
            try:
                network = untrained(self.run.arm({**self.arm.settings, **choice}, 0), self.teacher)
            except StorageError:
                raise
            except EdgekdError as e:
                self.run.run.progress.note(f"{choice}: left out: {e.message}")
                continue
            found.setdefault(structure_key(network), (index, network))
        return dict(found.values())

    def _compared(self, index: int, network: Network) -> _Compared:
        """By latency, measured in turns with the other and the teacher, else by multiply-accumulates."""
        networks = {_OWN: network}
        if self.other:
            networks[_WANTED] = untrained(self.run.arm(self.other.settings, 0), self.teacher)
        ratios, of = self._latencies(networks), "latency"
        if not ratios:
            whole, of = self.teacher.network.cost.macs, "multiply-accumulates"
            ratios = {key: one.cost.macs / whole for key, one in networks.items()}
        wanted = ratios.get(_WANTED, self.arm.latency_ratio)
        assert wanted is not None, "an arm with choices states what it should be like"
        return _Compared(index, ratios[_OWN], wanted, of)

    def _latencies(self, networks: Mapping[str, Network]) -> dict[str, float]:
        """Ratios to the teacher's; nothing where they never can be measured: a choice by arithmetic is kept, which a
        device that is in use or throttled must not decide.
        """
        if self.run.device is None:
            return {}
        own = self.run.arm(self.arm.settings, 0)
        try:
            files = {key: exported(own, one, key) for key, one in networks.items()}
            found = measured(own, exported(own, self.teacher.network, TEACHER), files, **QUICK)
        except UnsupportedModelError as e:
            self.run.run.progress.note(f"not measured: {e.message}")
            return {}
        return {key: found[key].ratio.estimate for key in networks}
