"""What edgekd knows, and what is said of devices."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgekd.console.measured import called, failure
from edgekd.console.writing import say, show_table

if TYPE_CHECKING:
    from edgekd.gate.budget import Budget
    from edgekd.pipeline.detect import Detected
    from edgekd.pipeline.devices import DeviceStates
    from edgekd.pipeline.doctor import Diagnosis
    from edgekd.studies._results import Overview
    from edgekd.values import Target, Value


def diagnosis(found: "Diagnosis") -> None:
    """The capabilities of a machine and a device."""
    from edgekd.pipeline.doctor_text import lines

    for line in lines(found):
        say(line)


def detected(found: "Detected") -> None:
    """Which target a device matches."""
    from edgekd.pipeline.detect_text import lines

    for line in lines(found):
        say(line)


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
    show_table(rows)
    for d in found.devices:
        if d.failure:
            failure(d.device, d.failure, coded=False)


def cleaned(device: str, removed: int | None) -> None:
    """What was removed from a device; None: its size isn't known."""
    what = (
        "removed (of unknown size, since the device has no du)"
        if removed is None
        else f"{removed / 1e6:.1f} MB removed"
    )
    say(f"{called(device)}: {what}")


def targets(known: "Sequence[Target]") -> None:
    """The targets, one per line."""
    rows = [["name", "what", "arch", "os", "variants", "budget"]]
    for t in known:
        name = f"{t.name} ({t.family})" if t.family and t.family_default else t.name
        rows.append([name, t.title, t.arch, t.os, ", ".join(v.name for v in t.variants), t.default_budget])
    show_table(rows)


def budgets(known: "Sequence[Budget]") -> None:
    """The budgets, one per line."""
    show_table([["name", "what"], *([b.name, b.title] for b in known)])


def studies(known: "Sequence[Overview]") -> None:
    """The studies, one per line."""
    rows = [["name", "what", "arms", "cells", "about"]]
    for s in known:
        rows.append([s.name, s.title, str(len(s.arms)), str(s.cells), _about(s.minutes)])
    show_table(rows)


def overview(found: "Overview") -> None:
    """A study as it is planned."""
    say(f"{found.title}\n{found.paper}\n")
    if found.published:
        show_table([["the paper's numbers", "", "data"], *([p.what, p.value, p.data] for p in found.published)])
    for text in found.differs:
        say(f"- {text}")
    columns = list(dict.fromkeys(factor for arm in found.arms for factor in arm))
    say()
    show_table([columns, *([arm.get(column, "") for column in columns] for arm in found.arms)])
    scale = found.scale
    say(f"\nscale {scale.name}: {scale.data}, {scale.train_images:,} images, {scale.epochs} epochs an arm")
    say(f"{found.cells} cells with {found.seeds} seeds: {_about(found.minutes)} on two cores of a server")


def _about(minutes: float) -> str:
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.0f} h"


def settings(value: "Value") -> None:
    """Everything a target or a budget states, one key per line."""
    from edgekd.report.keys import flat

    for key, text in flat(value.model_dump(exclude_none=True)):
        say(f"{key} = {text}")
