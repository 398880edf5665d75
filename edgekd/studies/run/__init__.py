"""`study run`: every arm with every seed, kept as it is made; then costs, gains, the report and its plots."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from edgekd import catalog
from edgekd.data.identity import identity
from edgekd.data.load import load_dataset
from edgekd.data.subset import subset
from edgekd.deploy.variants import require_reference
from edgekd.pipeline.measuring import device_of_target
from edgekd.progress import Progress
from edgekd.run import open_run
from edgekd.studies._base import Arm, Scale, Study
from edgekd.studies._overview import study
from edgekd.studies._results import Plan, StudyResult
from edgekd.studies.run.arms import StudyRun, recipe_of
from edgekd.studies.run.cells import Made, make
from edgekd.studies.run.conclude import Cells, conclude
from edgekd.studies.run.equal_latency import as_fast
from edgekd.studies.run.equal_time import as_long_settings
from edgekd.studies.run.failures import message, outcome, value_of
from edgekd.studies.run.folder import require_same
from edgekd.studies.run.planned import planned
from edgekd.studies.run.possible import without_device
from edgekd.studies.run.teachers import Teachers


def run_study(
    name: str,
    scale: Scale,
    out: Path,
    *,
    seeds: int,
    target: str,
    data: str | None = None,
    device_url: str | None = None,
    data_root: Path | None = None,
    download: bool = False,
    progress: Progress,
) -> StudyResult:
    """Run or resume the study of that name in the folder `out`.

    A cell that fails is reported in the result, and the others continue.

    Raises:
        EdgekdError: there is no such study, data or target, or `out` holds one with other settings.
    """
    found, kind = study(name), catalog.target(target)
    with open_run(out, progress) as run, device_of_target(device_url, kind, run) as device:
        progress.stage("data", f"loading {data or scale.data}")
        images = load_dataset(data or scale.data, root=data_root, download=download)
        images = subset(images, train_per_class=scale.train_per_class, val_per_class=scale.val_per_class)
        plan = Plan(
            study=name,
            data=data or scale.data,
            data_fingerprint=identity(images),
            scale=scale,
            seeds=seeds,
            target=kind.name,
        )
        require_same(out, plan)
        arms = found.arms(scale)
        # a wrong setting is an error before anything is trained
        for arm in arms:
            for choice in arm.choices or ({},):
                recipe_of(plan, {**arm.settings, **choice}, 0, (1, 1, 1, 1), kind)
        require_reference(kind, device.facts if device else None, device.install_command if device else _nothing)
        arms, left_out = (arms, ()) if device else without_device(arms, kind.name)
        for note in left_out:
            progress.note(note)
        teachers = Teachers(StudyRun(plan, run, kind, images, device))
        settled, cells = _cells(teachers, found, arms)
        return conclude(teachers, found, settled, cells, remarks=left_out)


def _nothing(_: str) -> None:
    """Without a device, nothing is installed on it."""


def _cells(teachers: Teachers, found: Study, arms: tuple[Arm, ...]) -> tuple[tuple[Arm, ...], Cells]:
    """The arms with their choices made, and their cells, seed by seed: what is stopped early compares as a whole."""
    progress, seeds = teachers.run.run.progress, teachers.run.plan.seeds
    settled: dict[str, Arm | Exception] = {}
    for arm in arms:
        settled[arm.name] = outcome(partial(_settled, teachers, found, arm, settled))
    cells: dict[tuple[str, int], Made | Exception] = {}
    for seed in range(seeds):
        for arm in arms:
            progress.stage("cell", f"{len(cells) + 1} of {len(arms) * seeds}: {arm.name}, seed {seed}")
            cell = outcome(partial(_cell, teachers, settled[arm.name], seed, representations=found.REPRESENTATIONS))
            if isinstance(cell, Exception):
                progress.warn(f"failed: {message(cell)}")
            cells[arm.name, seed] = cell
    return tuple(arm if isinstance(now := settled[arm.name], Exception) else now for arm in arms), cells


def _settled(teachers: Teachers, found: Study, arm: Arm, before: Mapping[str, Arm | Exception]) -> Arm:
    """The arm with its structure chosen, and its epochs; raises what an arm failed with that it refers to."""
    alone = {"model": arm.settings["model"]}
    if arm.is_planned:
        arm = planned(teachers.run, arm, teachers.of(alone))
    elif arm.choices:
        other = value_of(before[arm.as_fast_as]) if arm.as_fast_as else None
        arm = as_fast(teachers.run, arm, other, teachers.of(alone))
    if arm.as_long_as:
        settings = as_long_settings(teachers, found, arm, value_of(before[arm.as_long_as]))
        arm = arm.model_copy(update={"settings": settings})
    return arm


def _cell(teachers: Teachers, arm: Arm | Exception, seed: int, *, representations: bool) -> Made:
    settings = value_of(arm).settings
    return make(teachers.run.arm(settings, seed), teachers.of(settings), representations=representations)
