"""What the networks of a study cost: of each structure, one is exported and measured."""

from collections.abc import Mapping, Sequence

from edgekd.errors import UnsupportedModelError
from edgekd.studies._base import Arm
from edgekd.studies._results import Costs, TeacherResult
from edgekd.studies.run.arms import ArmRun
from edgekd.studies.run.cells import Made, structure_key
from edgekd.studies.run.latency import TEACHER, Latency, exported, latencies
from edgekd.studies.run.teachers import Teachers, TrainedTeacher
from edgekd.values import Artifact
from edgekd.values.network import Network


def costs_of(
    teachers: Teachers, arms: Sequence[Arm], first: Mapping[str, Made]
) -> tuple[dict[str, TeacherResult], dict[str, Costs], tuple[str, ...]]:
    """The teachers by their model, each arm's costs by its name, and why some weren't measured.

    Args:
        teachers: of the study.
        arms: all of them.
        first: one cell of each arm that has any.
    """
    results, costs, unmeasured = {}, {}, list[str]()
    for model in dict.fromkeys(str(arm.settings["model"]) for arm in arms if arm.name in first):
        mine = [arm for arm in arms if arm.settings["model"] == model and arm.name in first]
        teacher = teachers.of(mine[0].settings)
        accuracy, training = teacher.network.accuracy, teacher.network.training
        assert accuracy is not None
        found = _of_students(
            teachers.run.arm(mine[0].settings, 0), teacher, {arm.name: first[arm.name] for arm in mine}, unmeasured
        )
        costs.update({name: cost for name, cost in found.items() if name != TEACHER})
        results[model] = TeacherResult(
            model=model,
            test=teacher.tested.test,
            val=accuracy,
            epochs=training.epochs if training else 0,
            costs=found[TEACHER],
        )
    return results, costs, tuple(unmeasured)


def _of_students(
    arm: ArmRun, teacher: TrainedTeacher, made: Mapping[str, Made], unmeasured: list[str]
) -> dict[str, Costs]:
    """The costs of one teacher's students by their arms, and its own."""
    artifact = exported(arm, teacher.network, f"{teacher.network.origin} {TEACHER}")
    keys = {name: structure_key(cell.network) for name, cell in made.items()}
    files: dict[str, Artifact] = {}
    for name, key in keys.items():
        try:
            files[key] = files.get(key) or exported(arm, made[name].network, name)
        except UnsupportedModelError as e:
            arm.run.progress.note(f"{name}: {e.message}")
    measured = latencies(arm, artifact, files, unmeasured)
    found = {TEACHER: _costs(teacher.network, teacher.tested.nonzero, artifact, measured.get(TEACHER))}
    for name, key in keys.items():
        if key in files:
            cell = made[name]
            found[name] = _costs(cell.network, cell.tested.nonzero, files[key], measured.get(key))
    return found


def _costs(network: Network, nonzero: int, artifact: Artifact, latency: Latency | None) -> Costs:
    return Costs(
        parameters=network.cost.parameters,
        nonzero=nonzero,
        macs=network.cost.macs,
        disk_bytes=artifact.disk_bytes,
        transfer_bytes=artifact.transfer_bytes,
        median_ms=latency.median_ms if latency else None,
        latency=latency.ratio if latency else None,
    )
