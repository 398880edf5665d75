"""Filters with the smallest L1 norm pruned from MobileNetV1 at several rates, then retrained or distilled."""

from collections.abc import Mapping

from edgekd.studies._base import PAPER as PAPER_SCALE
from edgekd.studies._base import PRUNE, SMALL, SMOKE, Arm, Published, Scale, structure_controls

TITLE = "MobileNet: filters pruned at several rates, then distilled"
PAPER = (
    "Prakosa, master's thesis, NTUST, 2018; "
    "Prakosa, Leu, Chen, Pattern Analysis and Applications, 2020, doi:10.1007/s10044-020-00940-2"
)
PUBLISHED = (
    Published(what="accuracy at −26.08 % of the size, without distillation", value="63.65 %"),
    Published(what="accuracy at −26.08 % of the size, with distillation", value="65.37 % (+1.72 points)"),
    Published(what="inference time of the distilled against the other, the same architecture", value="0.1 s longer"),
)
DIFFERS = (
    ("The paper's criterion isn't known; its keyword is that of pruning filters by their L1 norm (Li et al., 2017)."),
    (
        "Every layer loses the same share of its filters: edgekd's choice. 14 % of the filters are about 26 % of "
        "the parameters."
    ),
)
REPRESENTATIONS = False
IMAGES_PER_SECOND: Mapping[str, float] = {"mobilenet_v1:width=0.5": 750}
SCALES: Mapping[str, Scale] = {
    "smoke": SMOKE.model_copy(update={"epochs": 3}),
    "small": SMALL,
    "paper": PAPER_SCALE,
}

_RATES = (0.14, 0.3, 0.5)


def arms(scale: Scale) -> tuple[Arm, ...]:
    """Rates × ({from scratch, inherited} × {labels, distilled}, and not retrained)."""
    model = "mobilenet_v1" if scale.name == "paper" else "mobilenet_v1:width=0.5"
    found: list[Arm] = []
    for rate in _RATES:
        name = f"filters −{rate:.0%}"
        settings = {"model": model, "prune.criterion": "filter_l1", "search.ratio": rate}
        factors = {"structure": name, "weights": "inherited", "learns from": "nothing"}
        untrained = {**settings, "steps": [dict(PRUNE)]}
        found.append(Arm(name=", ".join(factors.values()), factors=factors, settings=untrained))
        found += structure_controls(name, scale, settings)
    return tuple(found)
