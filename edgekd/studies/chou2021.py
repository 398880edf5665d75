"""Cross-layer matrices, distillation and an offline ensemble, for pairs of a network and a smaller one of its family.

The students are other architectures, so all begin with random weights: inherited ones there can't be.
"""

from collections.abc import Mapping

from edgekd.studies._base import CE, DISTIL, KD, SMALL, SMOKE, Arm, Published, Scale, Settings, halves
from edgekd.studies._base import PAPER as PAPER_SCALE

TITLE = "Cross-layer distillation and an offline ensemble, into smaller architectures"
PAPER = (
    "Chou, Chiu, Liao, APSIPA Transactions on Signal and Information Processing 10:e18, 2021, doi:10.1017/ATSIP.2021.16"
)
PUBLISHED = (
    Published(what="VGG-11 → VGG-6: gain", value="+3.57 points", data="CIFAR-100"),
    Published(what="VGG-11 → VGG-6: parameters, computation", value="2.08 ×, 3.5 × fewer", data="CIFAR-100"),
    Published(what="ResNet-32 → ResNet-8: gain", value="+4.38 points", data="CIFAR-100"),
    Published(what="ResNet-32 → ResNet-8: parameters, computation", value="6.11 ×, 5.27 × fewer", data="CIFAR-100"),
    Published(what="MobileNet-16 → MobileNet-9: gain", value="+3.98 points", data="ImageNet 64×64"),
    Published(
        what="MobileNet-16 → MobileNet-9: parameters, computation", value="1.59 ×, 2.05 × fewer", data="ImageNet 64×64"
    ),
)
DIFFERS = (
    (
        "The cross-layer matrix is edgekd's reading of the abstract, see the loss `crosslayer`; its temperature, "
        "its weights and what its two stages are aren't known."
    ),
    (
        "edgekd's choice: the first half of the epochs learns the cross-layer matrices alone, at a tenth of the "
        "rate, the second half from labels and logits; the ensemble is the teacher and one network like it of "
        "another seed, two at the paper's scale, the mean of their logits."
    ),
    ("Which layers the paper's small networks have isn't known, so theirs are compressed by other factors than these."),
)
REPRESENTATIONS = False
IMAGES_PER_SECOND: Mapping[str, float] = {
    "vgg11": 450,
    "vgg6": 1600,
    "resnet32": 850,
    "resnet8": 3000,
    "mobilenet_v1:width=0.5": 750,
    "mobilenet_v1:blocks128=0,blocks256=0,blocks512=0,width=0.5": 1600,
}
SCALES: Mapping[str, Scale] = {
    "smoke": SMOKE.model_copy(update={"train_per_class": 64, "train_images": 640, "epochs": 4}),
    "small": SMALL,
    "paper": PAPER_SCALE,
}

_PAIRS = {
    "VGG-11 → VGG-6": ("vgg11", "vgg6"),
    "ResNet-32 → ResNet-8": ("resnet32", "resnet8"),
    "MobileNet-16 → MobileNet-9": ("mobilenet_v1", "mobilenet_v1:blocks128=0,blocks256=0,blocks512=0"),
}


def arms(scale: Scale) -> tuple[Arm, ...]:
    """Pairs × {labels, distilled, cross-layer first, ensemble, both}."""
    return tuple(arm for pair in _PAIRS for arm in _of_pair(pair, scale))


def ensemble(model: str, scale: Scale) -> list[dict[str, str | int]]:
    """One further teacher beside the first, two at the paper's scale: the same architecture from other seeds."""
    return [{"model": model, "seed": seed} for seed in ((1, 2) if scale.name == "paper" else (1,))]


def cross_layer_first(scale: Scale) -> list[Settings]:
    """Two stages: the cross-layer matrices alone, then the recipe's losses.

    The first learns at a tenth of the rate: the matrices are products of features, so their gradients have no scale of
    their own, and at the whole rate networks diverge.
    """
    first, second = halves(scale.epochs)
    slowly = scale.learning_rate_from_scratch / 10
    matrices = {**DISTIL, "epochs": first, "learning_rate": slowly, "losses": {"crosslayer": 1.0}}
    return [matrices, {**DISTIL, "epochs": second}]


def _of_pair(pair: str, scale: Scale) -> list[Arm]:
    teacher, student = _PAIRS[pair]
    if teacher == "mobilenet_v1" and scale.name != "paper":
        teacher, student = f"{teacher}:width=0.5", f"{student},width=0.5"
    common: Settings = {
        "model": teacher,
        "student": student,
        "recover.learning_rate": scale.learning_rate_from_scratch,
        "steps": [dict(DISTIL)],
        "recover.losses": dict(KD),
    }
    two_stages: Settings = {"steps": cross_layer_first(scale)}
    several: Settings = {"teachers": ensemble(teacher, scale)}
    ways: dict[str, Settings] = {
        "labels": {"recover.losses": dict(CE)},
        "distilled": {},
        "cross-layer, then distilled": two_stages,
        "distilled from an ensemble": several,
        "cross-layer, then distilled, from an ensemble": {**two_stages, **several},
    }
    return [_arm(pair, way, {**common, **settings}) for way, settings in ways.items()]


def _arm(pair: str, way: str, settings: Settings) -> Arm:
    factors = {"pair": pair, "weights": "scratch", "learns from": way}
    control = None if way == "labels" else f"{pair}, scratch, labels"
    return Arm(name=", ".join(factors.values()), factors=factors, settings=settings, control=control)
