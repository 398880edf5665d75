"""Sparing: as few layers of an INT8 file stay in floats as its accuracy needs, those first that INT8 costs most."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from edgekd import catalog
from edgekd.deploy.quantise.calibration import Calibrated
from edgekd.deploy.quantise.sensitivity import sensitivity
from edgekd.deploy.writers._base import WRITERS
from edgekd.pipeline.deployment import Deployment
from edgekd.pipeline.goal import Goal
from edgekd.pipeline.graph import made_of
from edgekd.pipeline.proof import check, proven
from edgekd.pipeline.selection import Selection
from edgekd.pipeline.written import Calibrating, Making, calibrated, write_variants
from edgekd.run import Run, Workspace
from edgekd.values import Value, Variant
from edgekd.values.network import Network
from edgekd.values.result import Checked, Deployed, Recovered
from edgekd.values.rounding import Rounding

_MOST_FILES = 5


@dataclass(frozen=True)
class Student:
    """A trained network with its artifacts, of which one is chosen."""

    name: str
    network: Network
    deployed: Deployed
    selection: Selection
    recovered: tuple[Recovered, ...] = ()
    others: Mapping[str, Network] = field(default_factory=dict)
    """The networks of the variants, by name, that aren't of `network`."""

    @property
    def chosen(self) -> Network:
        """That of the chosen artifact."""
        return self.others.get(self.selection.variant, self.network)


@dataclass(frozen=True)
class Sparing:
    """How files with layers in floats are made and proven."""

    run: Run
    goal: Goal
    how: Deployment

    def spared(
        self, student: Student, variants: Sequence[Variant], keeps: Callable[[Checked], bool]
    ) -> tuple[tuple[str, ...], tuple[Checked, ...]]:
        """A file with as few layers in floats as needed, found by bisection over at most five files.

        Args:
            student: whose INT8 loses too much.
            variants: those that run the file.
            keeps: whether an artifact keeps enough accuracy.

        Returns:
            The layers in floats, by their weights, and the artifacts that passed their check. Where none keeps enough
            accuracy, those of the file that is the best.
        """
        name, network, chosen = student.name, student.network, student.deployed.layers
        made = replace(made_of(self.run, name, network, self.how), layers=chosen)
        layers = self._layers(name, made, variants[0])
        tried: dict[int, tuple[Checked, ...]] = {}

        def fits(count: int) -> bool:
            self.run.progress.stage("layers", f"checking {name} with {count} of {len(layers)} layers in floats")
            tried[count] = self._proven(name, network, replace(made, float_layers=layers[:count]), variants)
            return any(map(keeps, tried[count]))

        count = fewest(len(layers) - 1, fits) or max(tried, key=lambda one: _correct(tried[one]), default=0)
        return layers[:count], tried.get(count, ())

    def _layers(self, name: str, made: Making, variant: Variant) -> tuple[str, ...]:
        """The layers that a file computes in integers, the one that this costs most first."""
        precision = catalog.load(WRITERS, variant.runtime).precisions[variant.precision]
        self.run.progress.stage("layers", f"ranking the layers of {name} by what INT8 costs")
        inputs = _Ranking(made.of, calibrated(self.run, name, made), precision.rounding)
        found = tuple(self.run.stage(f"sensitivity-{name}", inputs, ranking_stage).layers)
        chosen = made.layers.get(variant.runtime) if precision.measured_layers else None
        return found if chosen is None else tuple(layer for layer in found if layer in chosen)

    def _proven(self, name: str, network: Network, made: Making, variants: Sequence[Variant]) -> tuple[Checked, ...]:
        exported = write_variants(self.run, name, made, variants)
        checks = check(self.run, name, network, exported.artifacts, how=self.how, device=self.goal.device).checks
        pairs = zip(exported.artifacts, checks, strict=True)
        return tuple(one for artifact, found in pairs if (one := proven(artifact, exported.exporter, found)))


@dataclass(frozen=True)
class _Ranking:
    """The inputs of the stage that ranks layers."""

    calibrating: Calibrating
    calibrated: Calibrated
    rounding: Rounding


class Ranked(Value):
    """The layers that INT8 computes, by their weights, with the signal to noise in dB that it leaves of the outputs."""

    layers: dict[str, float]
    """The one that costs most first."""


def ranking_stage(inputs: _Ranking, at: Workspace) -> Ranked:
    """Rank the layers."""
    return Ranked(layers=dict(sensitivity(inputs.calibrated.read(inputs.calibrating.images), inputs.rounding)))


def fewest(most: int, fits: Callable[[int], bool]) -> int | None:
    """The smallest number from 1 to `most` that fits, as far as five questions tell; None if none of those asked does.
    Small numbers are likely: a question halves the quotient of the bounds, not their difference.

    Args:
        most: the greatest one.
        fits: asked for a number; what is greater than one that fits, fits too.
    """
    below, found = 0, None
    for _ in range(_MOST_FILES):
        above = found or most + 1
        if above - below < 2:
            break
        number = min(above - 1, max(below + 1, round(((below + 1) * above) ** 0.5) - 1))
        if fits(number):
            found = number
        else:
            below = number
    return found


def _correct(found: Sequence[Checked]) -> int:
    return max((one.accuracy.correct for one in found), default=-1)
