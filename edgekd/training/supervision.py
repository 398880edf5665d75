"""The teachers of a student."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from edgekd.training.ensemble import Ensemble
from edgekd.values.network import Network
from edgekd.zoo import networks


@dataclass(frozen=True)
class Teacher:
    """A trained network that supervises a student."""

    network: Network
    weight: float = 1.0
    """Weight of its logits in the mean over all teachers."""


@dataclass(frozen=True)
class Supervision:
    """A student's weighted teachers, and the channels of the first teacher that the student kept."""

    teachers: tuple[Teacher, ...]
    """At least one; the first is the network from which the student was derived, if any."""
    kept: Mapping[str, tuple[int, ...]] | None = None
    """The first teacher's channels that the student's layers kept, by layer name, if known."""

    def load(self) -> nn.Module:
        """The teachers as one network, in evaluation mode: their logits' weighted mean.

        Raises:
            EdgekdError: as `networks.load`.
        """
        members = [networks.load(teacher.network) for teacher in self.teachers]
        if len(members) == 1:
            return members[0]
        return Ensemble(members, [teacher.weight for teacher in self.teachers]).eval()
