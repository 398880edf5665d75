"""What a command made."""

from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.console.measured import verdict
from edgekd.console.writing import coloured, say, show_table

if TYPE_CHECKING:
    from edgekd.devices.bundle.manifest import Bundle
    from edgekd.studies._results import StudyResult
    from edgekd.values.exported import Exports
    from edgekd.values.inspection import Inspection
    from edgekd.values.result import Result


def result(found: "Result") -> None:
    """The result of a compression: what each step brought, its files side by side, the verdict, and their places."""
    from edgekd.report.brought import HEADER as BROUGHT
    from edgekd.report.brought import brought_rows
    from edgekd.report.pilots import HEADER as PILOTS
    from edgekd.report.pilots import pilot_rows, races
    from edgekd.report.variants import artifact_rows
    from edgekd.report.write import names as report_files

    if steps := brought_rows(found):
        show_table([BROUGHT, *steps])
        say("")
    for race in races(found):
        show_table([PILOTS, *pilot_rows(race)])
        say(f"race: {race.told()}")
        say("")
    show_table(artifact_rows(found))
    for gone in found.choice.dropped:
        say(f"not kept: {gone.name}: {gone.why}")
    say(f"reference: {found.reference}")
    say(f"plan: remove {found.plan.proposal.what}: {found.plan.why}\n")
    verdict(found.verdict)
    folder = Path(found.folder)
    say(f"\nmodel:  {folder / found.files['model']}")
    for file in report_files().values():
        say(f"report: {folder / file}")


def exports(found: "Exports") -> None:
    """A table of exported files, then the findings with their remedies."""
    from edgekd.report import exported

    show_table(exported.rows(found))
    say("\n".join(("", *exported.remarks(found))))
    for severity, status, text in exported.findings(found):
        say(f": {text}", first=coloured(severity, status))
    say(f"\nfiles: {found.folder}")


def inspection(found: "Inspection", *, all_layers: bool) -> None:
    """What is in a model's file; only the first layers unless all are wanted."""
    from edgekd.report import inspected, origin

    say("\n".join((*inspected.head(found), *origin.lines(found), "")))
    if found.layers:
        show_table(inspected.layer_rows(found, all_layers=all_layers))
        say(inspected.rest(found, all_layers=all_layers) or "")
    say("\n".join(inspected.totals(found)))


def bundle(found: "Bundle", folder: Path) -> None:
    """What a bundle has, and where it is."""
    runtimes = ", ".join(f"{name} {version}" for name, version in found.runtimes.items())
    say(f"{folder}: {found.arch}, {found.bytes / 1e6:.0f} MB, Python {found.python}, glibc {found.glibc}, {runtimes}")
    parts = f"{len(found.packages)} Debian packages and {len(found.wheels)} wheels"
    say(f"made from {parts}; manifest.json lists them with their hashes and licences")


def study_result(found: "StudyResult") -> None:
    """The result of a study, and the place of its report."""
    from edgekd.studies.run.report import arm_rows, intervals

    show_table(arm_rows(found))
    say(f"\n{intervals(found)}")
    for failure in found.failures:
        say(f"failed: {failure.arm}, seed {failure.seed}: {failure.message}")
    for remark in found.remarks:
        say(f"- {remark}")
    say(f"\nreport: {Path(found.folder) / found.files['report']}")
