"""The values that flow through edgekd. All are frozen; units stand in the field's name.

Percentiles, ratios and other statistics are computed on reading (`measuring.statistics`), never stored.
"""

from edgekd.values.data import Data, Jitter, Preprocessing
from edgekd.values.manifest import Feeding, Manifest, Port
from edgekd.values.measurement import (
    Accuracy,
    Artifact,
    Environment,
    Launch,
    Measurement,
    Measurements,
    Measuring,
    Node,
    State,
    Trace,
)
from edgekd.values.network import Architecture, Cost, File, Structure
from edgekd.values.recipe import Export, Keep, Losses, Pruning, Quantisation, Recipe, Recovery, Step, Training, Tutor
from edgekd.values.target import Target, Targets
from edgekd.values.value import Fraction, Interval, PositiveInt, Reference, Value, document
from edgekd.values.verdict import LimitVerdict, Status, Verdict

__all__ = [
    "Accuracy",
    "Architecture",
    "Artifact",
    "Cost",
    "Data",
    "Environment",
    "Export",
    "Feeding",
    "File",
    "Fraction",
    "Interval",
    "Jitter",
    "Keep",
    "Launch",
    "LimitVerdict",
    "Losses",
    "Manifest",
    "Measurement",
    "Measurements",
    "Measuring",
    "Node",
    "Port",
    "PositiveInt",
    "Preprocessing",
    "Pruning",
    "Quantisation",
    "Recipe",
    "Recovery",
    "Reference",
    "State",
    "Status",
    "Step",
    "Structure",
    "Target",
    "Targets",
    "Trace",
    "Training",
    "Tutor",
    "Value",
    "Verdict",
    "document",
]
