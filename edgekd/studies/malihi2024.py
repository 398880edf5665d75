"""Single weights against channels, pruned to the same parameters, with and without distillation, over families.

And the order of the steps: distil, prune, fine-tune against prune, distil.
"""

from collections.abc import Mapping
from typing import Any

from edgekd.studies._base import DISTIL, PRUNE, SMALL, SMOKE, Arm, Published, Scale, halves, structure_controls
from edgekd.studies._base import PAPER as PAPER_SCALE

TITLE = "Weights or channels, with and without distillation, over families of networks"
PAPER = (
    "Malihi, Heidemann, Applied System Innovation 7(4):56, 2024; and, for the order of the steps, theirs in "
    "Big Data and Cognitive Computing 7(3):154, 2023"
)
_CIFAR = "CIFAR-10 and CIFAR-100"
PUBLISHED = (
    Published(what="weight pruning against channel pruning, four families", value="weight pruning better", data=_CIFAR),
    Published(what="which adapts better to distillation", value="weight pruning", data=_CIFAR),
    Published(what="pruned and distilled against distilled students (2023)", value="comparable or better", data=_CIFAR),
)
DIFFERS = (
    ("The paper compares at equal parameters; so does this study, and shows what each gains on the device besides."),
    (
        'Its metric "Performance Efficiency" isn\'t available. The table of trade-offs has metrics that say in their'
        " names what they are, and a score of edgekd's own."
    ),
    (
        "Criteria, rates, losses and training are edgekd's choice: the smallest magnitudes over all layers, the "
        "smallest batch-norm scales of each layer, half and three quarters of the parameters."
    ),
    (
        "In 2023 the paper distils a smaller network of the same family before it prunes it; here the network that "
        "is distilled first is a copy of the teacher, so that all arms end in networks of the same size."
    ),
)
REPRESENTATIONS = False
IMAGES_PER_SECOND: Mapping[str, float] = {"resnet20": 1300, "mobilenet_v1:width=0.5": 750}
SCALES: Mapping[str, Scale] = {
    "smoke": SMOKE.model_copy(update={"epochs": 2}),
    "small": SMALL.model_copy(update={"epochs": 6}),
    "paper": PAPER_SCALE,
}

_SOME = ("resnet20", "mobilenet_v1:width=0.5")
_ALL = ("resnet56", "densenet_bc100", "efficientnet_b0", "mobilenet_v2")

_CRITERIA = {"weights": "magnitude", "channels": "bn_scale"}
# a share of channels c leaves (1 − c)² of the weights between two layers
_RATES = {"half": {"weights": 0.5, "channels": 0.293}, "a quarter": {"weights": 0.75, "channels": 0.5}}


def arms(scale: Scale) -> tuple[Arm, ...]:
    """Families × {weights, channels} × what is left × {labels, distilled}, the controls from scratch at one rate, and
    the other order at the other.
    """
    families = _ALL if scale.name == "paper" else _SOME
    return tuple(
        arm for family in families for method in ("weights", "channels") for arm in _of_method(family, method, scale)
    )


def _of_method(family: str, method: str, scale: Scale) -> list[Arm]:
    found: list[Arm] = []
    for left, ratios in _RATES.items():
        settings = {"model": family, "prune.criterion": _CRITERIA[method], "search.ratio": ratios[method]}
        controls = structure_controls(f"{method}, {left} left", scale, settings, within={"family": family})
        if left == "half":
            found += controls
            continue
        # without the controls from scratch, that of the labels has none
        labels, distilled = controls[2].model_copy(update={"control": None}), controls[3]
        found += [labels, distilled, _distilled_first(distilled, settings, scale)]
    return found


def _distilled_first(other: Arm, settings: Mapping[str, Any], scale: Scale) -> Arm:
    """The same structure in the other order, with as many epochs."""
    first, second = halves(scale.epochs)
    steps = [{**DISTIL, "epochs": first}, dict(PRUNE), {"do": "finetune", "epochs": second}]
    factors = {**other.factors, "learns from": "distilled, then pruned, then labels"}
    return Arm(
        name=", ".join(factors.values()),
        factors=factors,
        settings={**settings, "steps": steps, "recover.losses": other.settings["recover.losses"]},
        control=other.name,
    )
