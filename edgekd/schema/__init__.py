"""The values that flow through edgekd. All are frozen; units stand in the field's name.

Percentiles, ratios and other statistics are computed on reading (`profiling.statistics`), never stored.
"""

from edgekd.schema.budget import (
    AccuracyLimit,
    Budget,
    Budgets,
    Conditions,
    EnergyLimit,
    FallbackLimit,
    LatencyLimit,
    MemoryLimit,
    SizeLimit,
    TimeLimit,
)
from edgekd.schema.measurement import (
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
from edgekd.schema.recipe import Pruning, Quantisation, Recipe, Recovery, Training
from edgekd.schema.target import Target, Targets
from edgekd.schema.value import Fraction, Interval, PositiveInt, Reference, Value, document
from edgekd.schema.verdict import LimitVerdict, Status, Verdict

__all__ = [
    "Accuracy",
    "AccuracyLimit",
    "Artifact",
    "Budget",
    "Budgets",
    "Conditions",
    "EnergyLimit",
    "Environment",
    "FallbackLimit",
    "Fraction",
    "Interval",
    "LatencyLimit",
    "Launch",
    "LimitVerdict",
    "Measurement",
    "Measurements",
    "Measuring",
    "MemoryLimit",
    "Node",
    "PositiveInt",
    "Pruning",
    "Quantisation",
    "Recipe",
    "Recovery",
    "Reference",
    "SizeLimit",
    "State",
    "Status",
    "Target",
    "Targets",
    "TimeLimit",
    "Trace",
    "Training",
    "Value",
    "Verdict",
    "document",
]
