"""Rounds: the variants of a given file are proven, but for those that a quick race showed to be hopelessly slow."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from edgekd.pipeline.chosen_file import keeps
from edgekd.pipeline.file_proof import Place, Proof, Proofs, Proving, proof_stage
from edgekd.pipeline.race import HOPELESS, Race
from edgekd.run import Run
from edgekd.values import Artifact
from edgekd.values.result import Dropped


@dataclass(frozen=True)
class Proven:
    """A given file's variants with their proofs, in their order, and those that weren't worth one."""

    proving: Proving
    proofs: Proofs
    left_out: tuple[Dropped, ...]


@dataclass(frozen=True)
class Rounds:
    """Proves variants; one that is left out for a rival which then fails its proof is proven in another round."""

    run: Run
    proving: Proving
    """Without artifacts."""
    place: Callable[[Artifact], Place]
    raced: Race
    drop: float
    """Points that may be lost."""

    def proven(self, artifacts: Sequence[Artifact]) -> Proven:
        """The proofs of all that may be chosen. Raises as `proof_stage`."""
        found: Proofs | None = None
        proofs: dict[str, Proof] = {}
        while True:
            left_out = self._left_out(artifacts, proofs, found)
            due = tuple(one for one in artifacts if one.id not in proofs and one.id not in left_out)
            if found is not None and not due:
                break
            self.run.progress.stage("check", f"checking {len(due)} variants")
            stated = replace(self.proving, artifacts=due, places=tuple(map(self.place, due)))
            found = self.run.stage("proof", stated, proof_stage)
            proofs |= {one.id: proof for one, proof in zip(due, found.proofs, strict=True)}
        kept = tuple(one for one in artifacts if one.id in proofs)
        return Proven(
            replace(self.proving, artifacts=kept, places=tuple(map(self.place, kept))),
            found.model_copy(update={"proofs": tuple(proofs[one.id] for one in kept)}),
            tuple(Dropped(name=one.name, why=left_out[one.id]) for one in artifacts if one.id in left_out),
        )

    def _left_out(
        self, artifacts: Sequence[Artifact], proofs: Mapping[str, Proof], found: Proofs | None
    ) -> dict[str, str]:
        """Ids with reasons."""
        rivals = [
            one for one in artifacts if found is None or one.id not in proofs or self._may_win(one, proofs, found)
        ]
        unproven = (one for one in artifacts if one.id not in proofs)
        whys = ((one.id, self.raced.hopeless(one, [self.proving.given, *rivals], HOPELESS)) for one in unproven)
        return {name: why for name, why in whys if why}

    def _may_win(self, artifact: Artifact, proofs: Mapping[str, Proof], found: Proofs) -> bool:
        proof = proofs[artifact.id]
        return proof.failed is None and keeps(proof, found, self.drop)
