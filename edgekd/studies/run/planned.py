"""The structure of an arm whose search plans for a latency, found on the device as `compress` finds it."""

from dataclasses import replace

from edgekd.gate.budget import Budget
from edgekd.pipeline.candidates import NetworkCandidates
from edgekd.pipeline.deploy import baseline
from edgekd.pipeline.goal import Goal
from edgekd.pipeline.measuring import TargetDevice
from edgekd.pipeline.search import Searching
from edgekd.store import cache_key, remembered
from edgekd.studies._base import Arm
from edgekd.studies.run.arms import ArmRun, StudyRun
from edgekd.studies.run.teachers import TrainedTeacher
from edgekd.values import Plan


def planned(run: StudyRun, arm: Arm, teacher: TrainedTeacher) -> Arm:
    """The arm with the structure that its search found for its share of the teacher's latency; where the search found
    none that is as fast, the fastest.

    Raises:
        EdgekdError: the network can't be pruned, or not be deployed.
        MeasurementError: the device was disturbed.
    """
    assert run.device is not None, "nothing is planned without a device"
    assert arm.latency_ratio is not None
    own, ratio = run.arm(arm.settings, 0), arm.latency_ratio
    device = TargetDevice(run.device, run.target).key()
    key = cache_key({"arm": arm, "teacher": teacher.network.key(), "device": device})[:12]
    path = run.run.store.root / "matched" / f"plan-{key}.json"
    run.run.progress.stage("match", f"{arm.name}: planning for {ratio:.3f} of the teacher's latency")
    plan = remembered(path, Plan, lambda: _plan(own, ratio, teacher))
    structure = plan.structure.model_dump(mode="json")
    choice = {"search.method": None, "search.options": None, "search.structure": structure}
    return arm.choosing(choice, f"without {plan.proposal.what}: {plan.why}")


def _plan(arm: ArmRun, ratio: float, teacher: TrainedTeacher) -> Plan:
    """In the target's reference variant, in which the study measures."""
    searching = Searching(arm.recipe, has_device=True)
    searching.check()
    budget = Budget.model_validate({"name": "study", "latency": {"percentile": 50, "max_ratio": ratio}})
    goal = Goal(budget, arm.target, arm.device, arm.recipe.measure)
    how = replace(arm.how, variants=(arm.how.reference,))
    reference = baseline(arm.run, teacher.network, how, goal)
    candidates = NetworkCandidates(teacher.network, arm.pruner, goal, how, reference, arm.recipe.search.margin)
    return searching.plan(candidates, reference.deployed.variants, arm.run.progress)
