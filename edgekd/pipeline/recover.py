"""Recover: the student learns from the teacher, from the weights that survived."""

from pathlib import Path

from torch import nn

from edgekd.pipeline.job import Job
from edgekd.pipeline.learn import learn
from edgekd.pipeline.students import Student, load
from edgekd.results import Network
from edgekd.zoo.weights import load_weights

WEIGHTS = "student.safetensors"


def recover(
    job: Job, student: Student, folder: Path, teacher: nn.Module, teacher_sha256: str
) -> tuple[Network, nn.Module, Path]:
    """The distilled student and its weights file."""
    settings = job.recipe.recover
    job.progress.stage("recover", f"distilling the student ({student.parameters:,} parameters) from the teacher")
    inputs = {
        "student": student.sha256,
        "teacher": teacher_sha256,
        "data": job.data.fingerprint,
        "seed": job.recipe.seed,
        "settings": settings,
    }
    model = load(folder, student)
    network, trained, _ = job.run.stage(
        "recover", inputs, Network, lambda to: learn(job, model, settings, folder=to, weights=WEIGHTS, teacher=teacher)
    )
    load_weights(model, trained / WEIGHTS)
    job.progress.note(f"student: validation accuracy {network.val.top1:.2%}, {network.parameters:,} parameters")
    return network, model.eval(), trained / WEIGHTS
