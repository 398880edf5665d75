"""The values that flow through edgekd. All are frozen; units stand in the field's name.

Percentiles, ratios and other statistics are computed on reading (`measuring.statistics`), never stored.
"""

from edgekd.values.data import Data, Jitter, Preprocessing
from edgekd.values.deployment import Artifact, Needs, Setting, Variant
from edgekd.values.device import Cluster, DeviceFacts, DeviceRuntime, Platform
from edgekd.values.file import File
from edgekd.values.lineage import Lineage
from edgekd.values.losses import Losses
from edgekd.values.manifest import Feeding, Manifest, Port
from edgekd.values.measurement import (
    Accuracy,
    Control,
    Host,
    Launch,
    Measurement,
    Measurements,
    MeasuringProtocol,
    Node,
    RuntimeInfo,
    State,
    Trace,
)
from edgekd.values.network import Architecture, Cost, Structure
from edgekd.values.plan import Candidate, Plan, Proposal, VariantLatency
from edgekd.values.recipe import (
    Export,
    FurtherTeacher,
    Keep,
    Pruning,
    Quantisation,
    Recipe,
    Recovery,
    SearchSettings,
    Step,
    Training,
)
from edgekd.values.several import DeviceMeasurements, DevicesMeasured, DeviceVerdict, Failure, Verdicts
from edgekd.values.target import Target, Targets
from edgekd.values.value import Fraction, Interval, PositiveInt, Reference, Value, document
from edgekd.values.verdict import LimitVerdict, Status, Verdict

__all__ = [
    "Accuracy",
    "Architecture",
    "Artifact",
    "Candidate",
    "Cluster",
    "Control",
    "Cost",
    "Data",
    "DeviceFacts",
    "DeviceMeasurements",
    "DeviceRuntime",
    "DeviceVerdict",
    "DevicesMeasured",
    "Export",
    "Failure",
    "Feeding",
    "File",
    "Fraction",
    "FurtherTeacher",
    "Host",
    "Interval",
    "Jitter",
    "Keep",
    "Launch",
    "LimitVerdict",
    "Lineage",
    "Losses",
    "Manifest",
    "Measurement",
    "Measurements",
    "MeasuringProtocol",
    "Needs",
    "Node",
    "Plan",
    "Platform",
    "Port",
    "PositiveInt",
    "Preprocessing",
    "Proposal",
    "Pruning",
    "Quantisation",
    "Recipe",
    "Recovery",
    "Reference",
    "RuntimeInfo",
    "SearchSettings",
    "Setting",
    "State",
    "Status",
    "Step",
    "Structure",
    "Target",
    "Targets",
    "Trace",
    "Training",
    "Value",
    "Variant",
    "VariantLatency",
    "Verdict",
    "Verdicts",
    "document",
]
