"""The summary of a given file's variants, as Markdown."""

import shlex

from edgekd.report import exported
from edgekd.report.cells import table
from edgekd.values.exported import Exports

FILE = "summary.md"


def summary(found: Exports) -> str:
    """What was made, what was chosen and why, and how to gate it."""
    header, *rows = exported.rows(found)
    lines = [f"# Variants for {found.target}", "", table(header, rows), ""]
    lines += [f"- {line}" for line in exported.remarks(found)]
    lines += [f"- {severity}: {' '.join(text.split())}" for severity, _, text in exported.findings(found)]
    if found.calibrated:
        lines += [f"- {note}" for note in found.calibrated.notes]
        if gated := gate(found):
            lines += [
                "",
                "Gate what was measured here, or measure it again, with any budget:",
                "",
                "```",
                *gated,
                "```",
            ]
    return "\n".join(lines) + "\n"


def gate(found: Exports) -> list[str]:
    """The commands that gate the chosen file; none where none was chosen, or it is the given one."""
    choice = found.calibrated.choice if found.calibrated else None
    given = next((one.artifact for one in found.exported if one.given), None)
    if choice is None or given is None or choice.artifact == given.name:
        return []
    stored = [shlex.quote(f"{found.folder}/measured/{name}.json") for name in (choice.artifact, given.name)]
    chosen = next(one.artifact for one in found.exported if one.artifact.name == choice.artifact)
    shape = found.calibrated.shape if found.calibrated else None
    sized = f" --shape {'x'.join(map(str, shape))}" if shape else ""
    files = [shlex.quote(path) for path in (f"{found.folder}/{chosen.path}", str(given.path))]
    on = f" --device {shlex.quote(found.device)}" if found.device not in (None, "local:") else ""
    again = f"edgekd check {files[0]} --baseline {files[1]} --target {shlex.quote(found.target)}{on}{sized}"
    return [
        f"edgekd check {stored[0]} --baseline {stored[1]} --budget no-slower",
        f"{again} --variant {chosen.variant.name} --variant {given.variant.name} --budget no-slower",
    ]
