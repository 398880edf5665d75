"""Who teaches a student."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from edgekd.training.ensemble import Ensemble
from edgekd.values.network import Network
from edgekd.zoo import networks


@dataclass(frozen=True)
class Teacher:
    """A trained network that a student learns from."""

    network: Network
    weight: float = 1.0
    """Of its logits in the mean of all teachers'."""


@dataclass(frozen=True)
class Supervision:
    """Who teaches a student, with which weights, and what of the first teacher the student kept."""

    teachers: tuple[Teacher, ...]
    """One at least; the first is the network that the student comes from, where it comes from any."""
    kept: Mapping[str, tuple[int, ...]] | None = None
    """The first teacher's channels that the student's layers kept, by the layer's name, where that is known."""

    def load(self) -> nn.Module:
        """The teachers as one network, in evaluation mode: their logits' weighted mean.

        Raises:
            EdgekdError: as `networks.load`.
        """
        members = [networks.load(teacher.network) for teacher in self.teachers]
        if len(members) == 1:
            return members[0]
        return Ensemble(members, [teacher.weight for teacher in self.teachers]).eval()
