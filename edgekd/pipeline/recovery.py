"""Recovery of INT8: where rounding costs more accuracy than the budget allows, and the file is faster than what keeps
it, its worst layers stay in floats; where that isn't enough, or too slow, the network is trained with simulated INT8.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from edgekd import catalog
from edgekd.deploy.writers._base import WRITERS, Precision
from edgekd.errors import UnsupportedModelError
from edgekd.measuring.statistics import ratio
from edgekd.pipeline.deploy import Contest, deploy
from edgekd.pipeline.select import keeps_accuracy, misses
from edgekd.pipeline.selection import measured_and_selected
from edgekd.pipeline.sparing import Sparing, Student
from edgekd.pipeline.student import Teaching, trained_in_int8
from edgekd.training.divergence import DivergedError
from edgekd.values import Variant
from edgekd.values.result import Checked, Deployed, Recovered
from edgekd.values.rounding import Rounding

_LOST_BEFORE = (
    "INT8 isn't recovered: in floats the network already loses more accuracy than the budget allows. Train for more "
    "epochs (--epochs), or allow a greater loss"
)
_RACED_AS_FAST = 1.1
"""Times the latency of another variant in a quick race: a difference that may be noise."""


@dataclass(frozen=True)
class Recovery:
    """What decides whether an INT8 variant is recovered, and by which means."""

    teaching: Teaching
    sparing: Sparing
    reference: Checked

    def recovered(self, student: Student) -> Student:
        """The student with the INT8 variants that could be recovered in the place of those that lost too much."""
        lost = self._lost(student)
        if not self.teaching.recipe.quantize.recover or not lost:
            return student
        spared = student
        for variants in _by_file(lost):
            spared = self._spared(spared, variants)
        spared = self._selected(spared)
        left = [
            variant
            for variant in lost
            if not self._is_settled(variant, student, spared) and self._may_win(student, variant, spared)
        ]
        trained = spared
        for rounding, variants in _by_rounding(left):
            trained = self._trained(trained, rounding, variants)
        return self._selected(trained) if left else trained

    def _lost(self, student: Student) -> list[Variant]:
        """The variants in integers that lose too much accuracy, and are better than what keeps it, or may be. None
        where the network loses it in floats too: INT8 with layers in floats comes near to that at best.
        """
        floats = [one for one in student.deployed.artifacts if not _precision(one.artifact.variant).integers]
        if floats and not any(map(self._keeps, floats)):
            self.sparing.run.progress.note(_LOST_BEFORE)
            return []
        found = []
        for variant in self.sparing.how.variants:
            checked = student.deployed.of(variant)
            failed = not self._keeps(checked) if checked else variant in student.deployed.inexact
            if _precision(variant).integers and failed and self._may_win(student, variant, student):
                found.append(variant)
        return found

    def _keeps(self, checked: Checked) -> bool:
        return keeps_accuracy(self.sparing.goal.budget, self.reference, checked)

    def _may_win(self, student: Student, variant: Variant, rival: Student) -> bool:
        """Whether a variant of the student, all of it in integers, would be better than what is chosen of the rival."""
        variant_chosen = rival.selection.choice.variant
        best = rival.deployed.of(variant_chosen)
        if best is None or not self._keeps(best):
            return True
        mine, chosen = self._standing(student, variant), self._standing(rival, variant_chosen)
        if mine is not None and chosen is not None:
            return mine < chosen
        raced = student.deployed.raced  # what is inexact wasn't measured any further
        if variant.name in raced and variant_chosen.name in raced:
            return raced[variant.name] < _RACED_AS_FAST * raced[variant_chosen.name]
        return True

    def _standing(self, student: Student, variant: Variant) -> tuple[int, int, float] | None:
        """What ranks a variant beside its accuracy, smaller is better: the limits that it misses, then its latency over
        the reference's. None where it wasn't measured.
        """
        selection = student.selection
        for checked, measurement in zip(selection.options, selection.measurements, strict=True):
            if checked.artifact.variant == variant and checked in student.deployed.artifacts and measurement.launches:
                baseline = selection.measurements[0]
                missed = misses(self.sparing.goal.budget, measurement, baseline)
                return *missed, ratio(measurement, baseline).estimate
        return None

    def _is_settled(self, variant: Variant, before: Student, after: Student) -> bool:
        """Whether a variant keeps the accuracy by now, and layers in floats didn't make it slower than another."""
        checked = after.deployed.of(variant)
        if checked is None or not self._keeps(checked):
            return False
        was_fastest = self.sparing.goal.device is not None and before.deployed.of(variant) is not None
        return not was_fastest or after.selection.choice.variant == variant

    def _spared(self, student: Student, variants: Sequence[Variant]) -> Student:
        """With as few layers of a file in floats as its accuracy needs."""
        try:
            layers, found = self.sparing.spared(student, variants, self._keeps)
        except UnsupportedModelError as e:
            self.sparing.run.progress.note(f"{variants[0].name}: {e.message}")
            return student
        if not layers:  # a single layer in integers: nothing was tried
            return student
        records = self._records(student, variants, found)
        records = tuple(one.model_copy(update={"float_layers": layers}) for one in records)
        return self._with(student, found, records)

    def _trained(self, student: Student, rounding: Rounding, variants: Sequence[Variant]) -> Student:
        """With variants of the network after a training that simulates their rounding."""
        run, name = self.sparing.run, f"{student.name}-qat"
        contest = Contest(self.sparing.goal, self.reference)
        try:
            network = trained_in_int8(replace(self.teaching, rounding=rounding), student.network)
        except (UnsupportedModelError, DivergedError) as e:
            run.progress.note(f"no training with simulated INT8: {e.message}")
            return student
        try:
            found = deploy(run, name, network, replace(self.sparing.how, variants=tuple(variants)), contest).artifacts
        except UnsupportedModelError as e:
            run.progress.note(e.message)
            found = ()
        assert network.training is not None
        epochs = network.training.epochs
        records = tuple(
            one.model_copy(update={"way": "training", "epochs": epochs})
            for one in self._records(student, variants, found)
        )
        others = {one.name: network for one in records if one.kept}
        return replace(self._with(student, found, records), others={**student.others, **others})

    def _records(
        self, student: Student, variants: Sequence[Variant], found: Sequence[Checked]
    ) -> tuple[Recovered, ...]:
        records = []
        for variant in variants:
            before = student.deployed.of(variant)
            after = next((one for one in found if one.artifact.variant == variant), None)
            records.append(
                Recovered(
                    name=variant.name,
                    before=before.accuracy if before else None,
                    after=after.accuracy if after else None,
                    kept=after is not None and self._keeps(after),
                )
            )
        return tuple(records)

    def _with(self, student: Student, found: Sequence[Checked], records: tuple[Recovered, ...]) -> Student:
        """The student with what is kept in the place of what was there before."""
        for record in records:
            self.sparing.run.progress.note(record.told())
        kept = {record.name for record in records if record.kept}
        new = {one.artifact.variant.name: one for one in found if one.artifact.variant.name in kept}
        old = student.deployed
        names = [variant.name for variant in self.sparing.how.variants]
        artifacts = {**{one.artifact.variant.name: one for one in old.artifacts}, **new}
        deployed = Deployed(
            artifacts=tuple(artifacts[name] for name in names if name in artifacts),
            dropped=tuple(gone for gone in old.dropped if gone.name not in {f"{student.name}-{name}" for name in new}),
            layers=old.layers,
            raced=old.raced,
            inexact=tuple(variant for variant in old.inexact if variant.name not in new),
        )
        return replace(student, deployed=deployed, recovered=(*student.recovered, *records))

    def _selected(self, student: Student) -> Student:
        run, goal = self.sparing.run, self.sparing.goal
        return replace(student, selection=measured_and_selected(run, goal, self.reference, student.deployed))


def _precision(variant: Variant) -> Precision:
    return catalog.load(WRITERS, variant.runtime).precisions[variant.precision]


def _by_file(variants: Iterable[Variant]) -> list[list[Variant]]:
    found: dict[tuple[str, str], list[Variant]] = {}
    for variant in variants:
        file = _precision(variant).file or variant.precision
        found.setdefault((variant.runtime, file), []).append(variant)
    return list(found.values())


def _by_rounding(variants: Iterable[Variant]) -> list[tuple[Rounding, list[Variant]]]:
    found: list[tuple[Rounding, list[Variant]]] = []
    for variant in variants:
        rounding = _precision(variant).rounding
        same = next((group for known, group in found if known == rounding), None)
        if same is None:
            found.append((rounding, [variant]))
        else:
            same.append(variant)
    return found
