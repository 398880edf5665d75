"""Layerwise against widthwise compression of MobileNetV1, each with and without distillation.

The four arms of either structure tell apart what inherited weights bring and what distillation brings. The features of
all students are compared with the teacher's.
"""

from collections.abc import Mapping

from edgekd.studies._base import PAPER as PAPER_SCALE
from edgekd.studies._base import SMALL, SMOKE, Arm, Published, Scale, structure_controls

TITLE = "MobileNetV1: layers or widths, with and without distillation"
PAPER = "Hong, Leu, Faisal, Prakosa, IEEE Access 10, 85095–85105, 2022"
PUBLISHED = (
    Published(what="layerwise: parameters", value="−32.42 %"),
    Published(what="widthwise: parameters", value="−42.27 %"),
    Published(what="widthwise: gain of distillation", value="more than +4.71 points"),
)
DIFFERS = (
    (
        "Which layers and which width the paper takes isn't known. Four of the five repeated blocks of 512 "
        "channels, and a width of 0.75, are edgekd's choice: of the whole MobileNetV1 with 100 classes they are "
        "32.49 % and 42.79 % of the parameters."
    ),
    "The teacher is the uncompressed network; the paper's isn't known, nor its loss and its training.",
)
REPRESENTATIONS = True
IMAGES_PER_SECOND: Mapping[str, float] = {"mobilenet_v1:width=0.5": 750}
SCALES: Mapping[str, Scale] = {
    "smoke": SMOKE,
    "small": SMALL.model_copy(update={"train_per_class": 1000, "val_per_class": 200, "train_images": 10_000}),
    "paper": PAPER_SCALE,
}

_BLOCKS = ("blocks.7", "blocks.8", "blocks.9", "blocks.10")


def arms(scale: Scale) -> tuple[Arm, ...]:
    """{layerwise, widthwise} × {from scratch, inherited} × {labels, distilled}."""
    model = {"model": "mobilenet_v1" if scale.name == "paper" else "mobilenet_v1:width=0.5"}
    layerwise = {**model, "search.structure": {"removed": list(_BLOCKS)}}
    widthwise = {**model, "prune.criterion": "l1", "search.ratio": 0.25}
    return (
        *structure_controls("layerwise", scale, layerwise),
        *structure_controls("widthwise", scale, widthwise),
    )
