"""edgekd's plan by a latency table against other plans and ways to recover, each as fast on the device as ours and
trained as long.

Plans that search are for a third of the teacher's latency; the others have a ratio, of which the one is taken whose
untrained network comes nearest to ours when it is measured beside it. Each trains for as many epochs as take our time;
the table shows how near both came.
"""

from collections.abc import Mapping

from edgekd.studies._base import CE, DISTIL, KD, PRUNE, SMALL, SMOKE, Arm, Published, Scale, Settings, halves
from edgekd.studies._base import PAPER as PAPER_SCALE

TITLE = "edgekd's plan by a latency table against other plans, at a third of the latency and equal training time"
PAPER = (
    "edgekd's own. Others' methods: DepGraph (Fang et al., CVPR 2023), NetAdapt (Yang et al., ECCV 2018), and those of "
    "the studies hong2022 and malihi2024"
)
PUBLISHED: tuple[Published, ...] = ()
DIFFERS = (
    (
        "Equal latency is as near as each method's levels come to that of ours, measured untrained. Both searches may "
        "end a little below the third that they plan for."
    ),
    (
        "Equal training time is as near as whole epochs come to it, by timing a few batches of each arm; the table has "
        "the time that each took. Planning comes on top: minutes for the two searches by a table, seconds for a ratio."
    ),
    (
        "Only edgekd's default recovery repairs the pruned network before it is trained; the others are trained as "
        "they are, as in the papers. The default recovery after uniform pruning tells apart what the plan brings."
    ),
    (
        "NetAdapt trains each of its proposals shortly; here each is repaired without training, and judged by the loss "
        "on training images. DepGraph's group magnitude is ranked over all layers as edgekd does: relative to the mean "
        "of its group."
    ),
    (
        "The learning rates of labels alone are a fifth of the scale's, the scale's and twice the scale's; the other "
        "methods have the scale's."
    ),
    (
        "Of the papers' methods, uniform filters and pruned single weights are left out, since these have the widths "
        "of uniform pruning and no other latency than the teacher, and chou2021's students from scratch with an "
        "ensemble, since they take several teachers."
    ),
    (
        "Without a device of the target what plans by latency is left out, and the others have a third of the "
        "multiply-accumulates."
    ),
)
REPRESENTATIONS = False
IMAGES_PER_SECOND: Mapping[str, float] = {"mobilenet_v1:width=0.5": 750}
SCALES: Mapping[str, Scale] = {
    "smoke": SMOKE.model_copy(update={"epochs": 3}),
    "small": SMALL.model_copy(
        update={"train_per_class": 1000, "val_per_class": 200, "train_images": 10_000, "epochs": 6}
    ),
    "paper": PAPER_SCALE,
}

_LATENCY = 1 / 3
_DEFAULT = "edgekd's default"
_OURS = f"latency table, {_DEFAULT}"
_RATES = (0.2, 1.0, 2.0)
"""Times the scale's learning rate."""

_CHANNELS = tuple({"search.ratio": round(0.02 * step, 2)} for step in range(15, 46))
"""From three tenths of the channels to nine tenths."""
_BLOCKS = tuple({"search.ratio": blocks / 14} for blocks in range(2, 9))
"""Of mobilenet_v1's 14, the stem among them, eight can go."""


def arms(scale: Scale) -> tuple[Arm, ...]:
    """Ours, then {uniform} × {the default, labels at three rates, distilled}, other plans with labels, and what the
    papers do; all gains are against ours.
    """
    model = f"mobilenet_v1:width={1.0 if scale.name == 'paper' else 0.5:g}"
    uniform: Settings = {"prune.criterion": "l1"}
    everywhere: Settings = {"search.options": {"scope": "global"}}
    labels: Settings = {**_pruned_then_trained(), "recover.losses": dict(CE)}
    distilled: Settings = {**_pruned_then_trained(), "recover.losses": dict(KD)}
    order = _distilled_first(scale)
    found = (
        _searched("latency table", _DEFAULT, {"search.method": "latency_table", **_default()}),
        _matched("uniform", _DEFAULT, {**uniform, **_default()}, _CHANNELS),
        *(
            _matched("uniform", _at("labels", rate), {**uniform, **labels, "recover.learning_rate": rate}, _CHANNELS)
            for rate in (round(factor * scale.learning_rate, 6) for factor in _RATES)
        ),
        _matched("uniform", _at("distilled", scale.learning_rate), {**uniform, **distilled}, _CHANNELS),
        _matched(
            "global group magnitude",
            _at("labels", scale.learning_rate),
            {"prune.criterion": "l2", **everywhere, **labels},
            _CHANNELS,
        ),
        _searched("NetAdapt", _at("labels", scale.learning_rate), {"search.method": "netadapt", **labels}),
        _matched(
            "layers", _at("distilled", scale.learning_rate), {"prune.criterion": "position", **distilled}, _BLOCKS
        ),
        _matched(
            "global batch-norm scales",
            "distilled, then pruned, then labels",
            {"prune.criterion": "bn_scale", **everywhere, **distilled, **order},
            _CHANNELS,
        ),
    )
    return tuple(arm.model_copy(update={"settings": {"model": model, **arm.settings}}) for arm in found)


def _default() -> Settings:
    """What a recipe that states nothing does."""
    return {"steps": [{"do": "prune"}, dict(DISTIL)], "recover.learning_rate": None}


def _pruned_then_trained() -> Settings:
    return {"steps": [dict(PRUNE), dict(DISTIL)]}


def _distilled_first(scale: Scale) -> Settings:
    first, second = halves(scale.epochs)
    return {"steps": [{**DISTIL, "epochs": first}, dict(PRUNE), {"do": "finetune", "epochs": second}]}


def _at(learned: str, rate: float) -> str:
    return f"{learned}, rate {rate:g}"


def _searched(plan: str, recovery: str, settings: Settings) -> Arm:
    """An arm whose search plans for the latency, as near to it as it can."""
    arm = _arm(plan, recovery, {**settings, "search.margin": 0.0})
    return arm.model_copy(update={"latency_ratio": _LATENCY})


def _matched(plan: str, recovery: str, settings: Settings, choices: tuple[Settings, ...]) -> Arm:
    """An arm that has a ratio to choose."""
    return _arm(plan, recovery, settings).model_copy(update={"as_fast_as": _OURS, "choices": choices})


def _arm(plan: str, recovery: str, settings: Settings) -> Arm:
    name = f"{plan}, {recovery}"
    other = None if name == _OURS else _OURS
    factors = {"plan": plan, "learns from": recovery}
    return Arm(name=name, factors=factors, settings=settings, control=other, as_long_as=other)
