"""The only package that prints: results on stdout, everything else on stderr."""

from edgekd.console.lists import budgets, cleaned, detected, devices, diagnosis, overview, settings, studies, targets
from edgekd.console.made import bundle, exports, inspection, result, study_result
from edgekd.console.measured import devices_measured, explanation, failure, measurements, verdict
from edgekd.console.writing import bug, error, json, note, text

__all__ = [
    "budgets",
    "bug",
    "bundle",
    "cleaned",
    "detected",
    "devices",
    "devices_measured",
    "diagnosis",
    "error",
    "explanation",
    "exports",
    "failure",
    "inspection",
    "json",
    "measurements",
    "note",
    "overview",
    "result",
    "settings",
    "studies",
    "study_result",
    "targets",
    "text",
    "verdict",
]
