"""The only module that prints: results on stdout, everything else on stderr."""

import contextlib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.errors import EdgekdError
from edgekd.streams import can_say
from edgekd.visible import visible

if TYPE_CHECKING:
    from edgekd.devices.bundle.manifest import Bundle
    from edgekd.gate.budget import Budget
    from edgekd.measuring.explain import Explanation
    from edgekd.pipeline.detect import Detected
    from edgekd.pipeline.devices import DeviceStates
    from edgekd.pipeline.doctor import Diagnosis
    from edgekd.studies._results import Overview, StudyResult
    from edgekd.values import DevicesMeasured, Failure, Measurement, Target, Value, Verdict
    from edgekd.values.exported import Exports
    from edgekd.values.result import Result

_ANSI_COLOURS = {"pass": 32, "fail": 31, "inconclusive": 33, "not measured": 33, "invalid": 35}


def error(e: EdgekdError) -> None:
    """An error and its remedy."""
    note(f"error: {e.message}")
    if e.hint:
        note(f"hint: {e.hint}")


def bug(e: Exception, log: Path | None) -> None:
    """A bug in edgekd, and the log file with its details; None if they were printed."""
    note(f"error: this is a bug in edgekd: {type(e).__name__}: {e}")
    note(f"hint: please report it with {log or 'the lines above'}")


def note(text: str) -> None:
    """One line on stderr."""
    with contextlib.suppress(OSError):  # nobody reads it, or its disk is full: the exit code remains
        print(visible(text), file=sys.stderr)


def text(found: str) -> None:
    """A text on stdout, as it is."""
    print(visible(found), end="")


def json(value: "Value") -> None:
    """The JSON document of a value on stdout, with escapes for characters that stdout can't encode."""
    found = value.model_dump_json(indent=1)
    print(found if can_say(found) else _escaped(found))


def _escaped(document: str) -> str:
    import json

    return re.sub("[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], document)


def _say(found: str = "", *, first: str = "") -> None:
    """One text on stdout, made safe for a terminal; `first` is edgekd's own and may have colours."""
    print(f"{first}{visible(found)}")


def verdict(found: "Verdict", device: str = "") -> None:
    """A verdict with the evidence for each limit, and the device where there are several."""
    where = f" on {_called(device)}" if device else ""
    _say(f": {found.artifact} on budget {found.budget}{where}", first=_coloured(found.status.upper(), found.status))
    for limit in found.limits:
        _say(f"  {limit.evidence}", first=f"  {_coloured(f'{limit.status:<12}', limit.status)}")
    for reason in found.reasons:
        _say(f": {reason}", first=f"  {_coloured('invalid', 'invalid')}")


def result(found: "Result") -> None:
    """The result of a compression: its files side by side, the verdict, and their places."""
    from edgekd.report.content import artifact_rows
    from edgekd.report.write import names as report_files

    _table(artifact_rows(found))
    for gone in found.choice.dropped:
        _say(f"not kept: {gone.name}: {gone.why}")
    _say(f"reference: {found.reference}")
    _say(f"plan: remove {found.plan.proposal.what}: {found.plan.why}\n")
    verdict(found.verdict)
    folder = Path(found.folder)
    _say(f"\nmodel:  {folder / found.files['model']}")
    for file in report_files().values():
        _say(f"report: {folder / file}")


def measurements(found: "Sequence[Measurement]", reference: int = -1) -> None:
    """Measurements of one session side by side, compared with the one at `reference`."""
    from edgekd.measuring import summary
    from edgekd.measuring.disturbance import spoiled

    _table(summary.rows(found))
    _say(f"\n{summary.BOUNDS}")
    others = [m for m in found if m is not found[reference]]
    for m in others:
        _say(summary.comparison(m, found[reference]))
    for line in summary.conditions(found[0], found[1:]):
        _say(line)
    for m in found:
        if m.trace:
            _say(f"\n{m.artifact.name}: {summary.where(m)}")
            _table(summary.operator_rows(m))
    for m in found:
        for reason in spoiled(m):
            _say(f": {m.artifact.name}: {reason}", first=_coloured("invalid", "invalid"))


def devices_measured(found: "DevicesMeasured", reference: int = -1) -> None:
    """Measurements of several devices, a group of rows for each, compared with the one at `reference`."""
    from edgekd.measuring import by_device, summary
    from edgekd.measuring.disturbance import spoiled

    _table(by_device.rows(found.devices, reference))
    if any(device.measurements for device in found.devices):
        _say(f"\n{summary.BOUNDS}")
    for device in found.devices:
        if device.measurements:
            first, *others = device.measurements
            for line in summary.conditions(first, others):
                _say(f"{_called(device.device)}: {line}")
        for m in device.measurements:
            for reason in spoiled(m):
                what = f"{_called(device.device)}: {m.artifact.name}: {reason}"
                _say(f": {what}", first=_coloured("invalid", "invalid"))


def failure(device: str, found: "Failure", *, coded: bool = True) -> None:
    """Why a device gave no result, and the remedy; the exit code where it counts for the command's."""
    code = f" (exit code {found.exit_code})" if coded else ""
    error(EdgekdError(f"{_of(device, found.message)}{code}", found.hint))


def _of(device: str, text: str) -> str:
    """A line about a device; a text that begins with its name has it already."""
    name = _called(device)
    return text if text.startswith((f"{name}:", f"{name} ")) else f"{name}: {text}"


def _called(device: str) -> str:
    from edgekd.devices.listed import called

    return called(device)


def exports(found: "Exports") -> None:
    """A table of exported files, then the findings with their remedies."""
    from edgekd.report import exported

    _table(exported.rows(found))
    _say("\n".join(("", *exported.remarks(found))))
    for severity, status, text in exported.findings(found):
        _say(f": {text}", first=_coloured(severity, status))
    _say(f"\nfiles: {found.folder}")


def explanation(found: "Explanation") -> None:
    """Two artifacts node by node, their latencies, and the causes."""
    from edgekd.measuring.explain import summary

    rows = [["node", "op", found.artifact, "op", found.other, "ratio"]]
    for p in found.pairs:
        ratio = f"{p.other_ms / p.ms:.2f}" if p.ms else ""
        rows.append([p.name, p.op, f"{p.ms:.4g} ms", p.other_op, f"{p.other_ms:.4g} ms", ratio])
    rows.append(["all nodes", "", f"{found.nodes_ms:.4g} ms", "", f"{found.other_nodes_ms:.4g} ms", ""])
    _table(rows)
    _say(f"\n{summary(found)}")
    for cause in found.causes:
        _say(f"- {cause}")


def diagnosis(found: "Diagnosis") -> None:
    """The capabilities of a machine and a device."""
    from edgekd.pipeline.doctor_text import lines

    for line in lines(found):
        _say(line)


def detected(found: "Detected") -> None:
    """Which target a device matches."""
    from edgekd.pipeline.detect_text import lines

    for line in lines(found):
        _say(line)


def devices(found: "DeviceStates") -> None:
    """Devices with their state, one per line, then why some can't be reached."""
    rows = [["device", "url", "tags", "state", "target", "processor", "runtimes"]]
    for d in found.devices:
        state = d.in_use or "free" if d.host else "no access"
        runtimes = [f"{name} {runtime.version}" for name, runtime in (d.runtimes or {}).items()]
        asked = "none" if d.runtimes is not None else "not asked" if d.in_use else ""
        target = d.target or ", ".join(d.targets) or ("none" if d.host else "")
        cpu = d.host.cpu if d.host else ""
        url = d.url if d.url != d.device else ""
        rows.append([d.device, url, ", ".join(d.tags), state, target, cpu, ", ".join(runtimes) or asked])
    _table(rows)
    for d in found.devices:
        if d.failure:
            failure(d.device, d.failure, coded=False)


def bundle(found: "Bundle", folder: Path) -> None:
    """What a bundle has, and where it is."""
    runtimes = ", ".join(f"{name} {version}" for name, version in found.runtimes.items())
    _say(f"{folder}: {found.arch}, {found.bytes / 1e6:.0f} MB, Python {found.python}, glibc {found.glibc}, {runtimes}")
    parts = f"{len(found.packages)} Debian packages and {len(found.wheels)} wheels"
    _say(f"made from {parts}; manifest.json lists them with their hashes and licences")


def cleaned(device: str, removed: int | None) -> None:
    """What was removed from a device; None: its size isn't known."""
    what = "removed; how much isn't known, as it has no du" if removed is None else f"{removed / 1e6:.1f} MB removed"
    _say(f"{_called(device)}: {what}")


def targets(known: "Sequence[Target]") -> None:
    """The targets, one per line."""
    rows = [["name", "what", "arch", "os", "variants", "budget"]]
    for t in known:
        name = f"{t.name} ({t.family})" if t.family and t.family_default else t.name
        rows.append([name, t.title, t.arch, t.os, ", ".join(v.name for v in t.variants), t.default_budget])
    _table(rows)


def budgets(known: "Sequence[Budget]") -> None:
    """The budgets, one per line."""
    _table([["name", "what"], *([b.name, b.title] for b in known)])


def studies(known: "Sequence[Overview]") -> None:
    """The studies, one per line."""
    rows = [["name", "what", "arms", "cells", "about"]]
    for s in known:
        rows.append([s.name, s.title, str(len(s.arms)), str(s.cells), _about(s.minutes)])
    _table(rows)


def overview(found: "Overview") -> None:
    """A study as it is planned."""
    _say(f"{found.title}\n{found.paper}\n")
    if found.published:
        _table([["the paper's numbers", "", "data"], *([p.what, p.value, p.data] for p in found.published)])
    for text in found.differs:
        _say(f"- {text}")
    columns = list(dict.fromkeys(factor for arm in found.arms for factor in arm))
    _say()
    _table([columns, *([arm.get(column, "") for column in columns] for arm in found.arms)])
    scale = found.scale
    _say(f"\nscale {scale.name}: {scale.data}, {scale.train_images:,} images, {scale.epochs} epochs an arm")
    _say(f"{found.cells} cells with {found.seeds} seeds: {_about(found.minutes)} on two cores of a server")


def _about(minutes: float) -> str:
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.0f} h"


def study_result(found: "StudyResult") -> None:
    """The result of a study, and the place of its report."""
    from edgekd.studies.run.report import arm_rows, intervals

    _table(arm_rows(found))
    _say(f"\n{intervals(found)}")
    for failure in found.failures:
        _say(f"failed: {failure.arm}, seed {failure.seed}: {failure.message}")
    for remark in found.remarks:
        _say(f"- {remark}")
    _say(f"\nreport: {Path(found.folder) / found.files['report']}")


def settings(value: "Value") -> None:
    """Everything a target or a budget states, one key per line."""
    from edgekd.report.keys import flat

    for key, text in flat(value.model_dump(exclude_none=True)):
        _say(f"{key} = {text}")


def _coloured(text: str, status: str) -> str:
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        return text
    return f"\x1b[{_ANSI_COLOURS[status]}m{text}\x1b[0m"


def _table(rows: Sequence[Sequence[str]]) -> None:
    from edgekd.console_table import table

    print(table(rows, terminal=sys.stdout.isatty()))
