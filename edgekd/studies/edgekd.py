"""edgekd's default against the methods of the four papers, each as fast on the device as ours and trained as long.

Each method's own setting is the one, among some, whose untrained network comes nearest to our latency when all are
measured in one session, and it trains for as many epochs as take our time; the table shows how near it came.
"""

from collections.abc import Mapping

from edgekd.studies._base import DISTIL, KD, PRUNE, SMALL, SMOKE, Arm, Scale, Settings, halves, structure_controls
from edgekd.studies._base import PAPER as PAPER_SCALE
from edgekd.studies.chou2021 import cross_layer_first, ensemble

TITLE = "edgekd's default against the papers' methods at equal latency and training time"
PAPER = "edgekd's own; the methods are those of the studies prakosa2018, hong2022, malihi2024 and chou2021"
PUBLISHED = ()
DIFFERS = (
    (
        "Equal latency is as near as each method's levels come to it, measured untrained; pruning single weights "
        "doesn't change the latency on a dense runtime, so that arm stays as slow as the teacher."
    ),
    (
        "Equal training time is as near as whole epochs come to it, by timing a few batches of each arm; the table has "
        "the time that each took. The training of the ensemble's teachers comes on top."
    ),
    "Without a device of the target, the multiply-accumulates are made equal instead.",
)
REPRESENTATIONS = False
IMAGES_PER_SECOND: Mapping[str, float] = {"mobilenet_v1:width=0.5": 750}
SCALES: Mapping[str, Scale] = {
    "smoke": SMOKE.model_copy(update={"epochs": 3}),
    "small": SMALL.model_copy(
        update={"train_per_class": 1000, "val_per_class": 200, "train_images": 10_000, "epochs": 8}
    ),
    "paper": PAPER_SCALE,
}

_OURS = "widthwise, inherited, distilled"
_BLOCKS = 14  # of mobilenet_v1, the stem among them
_NINE = "mobilenet_v1:blocks128=0,blocks256=0,blocks512=0"


def arms(scale: Scale) -> tuple[Arm, ...]:
    """Ours with its controls, then the papers' methods; their gain is against ours."""
    whole = 1.0 if scale.name == "paper" else 0.5
    model = f"mobilenet_v1:width={whole:g}"
    ours = {"model": model, "prune.criterion": "l1", "search.ratio": 0.5}
    inherited: Settings = {"model": model, "steps": [dict(PRUNE), dict(DISTIL)], "recover.losses": dict(KD)}
    first, second = halves(scale.epochs)
    distilled_first = [{**DISTIL, "epochs": first}, dict(PRUNE), {"do": "finetune", "epochs": second}]
    few = scale.name == "smoke"
    widths = (0.5, 0.75, 1.0) if few else (0.375, 0.5, 0.625, 0.75, 0.875, 1.0, 1.25)
    channels = (0.4, 0.5, 0.6) if few else (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
    gone = (4, 6, 8) if few else (2, 3, 4, 5, 6, 7, 8)
    return (
        *structure_controls("widthwise", scale, ours),
        # the same share of every layer leaves the same widths as ours
        _other("filters", "inherited", "distilled", {**inherited, "prune.criterion": "filter_l1", "search.ratio": 0.5}),
        _other(
            "layerwise",
            "inherited",
            "distilled",
            {**inherited, "prune.criterion": "position"},
            _ratios(*(blocks / _BLOCKS for blocks in gone)),
        ),
        _other(
            "channels",
            "inherited",
            "distilled, then pruned, then labels",
            {
                **inherited,
                "prune.criterion": "bn_scale",
                "search.options": {"scope": "global"},
                "steps": distilled_first,
            },
            _ratios(*channels),
        ),
        _other(
            "nine layers",
            "scratch",
            "cross-layer, then distilled, from an ensemble",
            {
                "model": model,
                "steps": cross_layer_first(scale),
                "recover.losses": dict(KD),
                "recover.learning_rate": scale.learning_rate_from_scratch,
                "teachers": ensemble(model, scale),
            },
            tuple({"student": f"{_NINE},width={share * whole:g}"} for share in widths),
        ),
        _other(
            "weights", "inherited", "distilled", {**inherited, "prune.criterion": "magnitude", "search.ratio": 0.75}
        ),
    )


def _ratios(*ratios: float) -> tuple[Settings, ...]:
    return tuple({"search.ratio": ratio} for ratio in ratios)


def _other(structure: str, weights: str, learned: str, settings: Settings, choices: tuple[Settings, ...] = ()) -> Arm:
    factors = {"structure": structure, "weights": weights, "learns from": learned}
    return Arm(
        name=", ".join(factors.values()),
        factors=factors,
        settings=settings,
        control=_OURS,
        as_fast_as=_OURS if choices else None,
        choices=choices,
        as_long_as=_OURS,
    )
