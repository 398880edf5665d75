"""What is said of exported files."""

from collections.abc import Iterable, Iterator

from edgekd.report import app
from edgekd.report.cells import interval, parity
from edgekd.values.exported import Calibrated, Exported, Exports
from edgekd.visible import visible_name


def rows(found: Exports) -> list[list[str]]:
    """The variants, one per row, below the headings."""
    timed = ["median", "ratio (95 %)"] if found.calibrated else []
    lines = [["variant", "file", *timed, "bytes", "gzip bytes", "check", "findings"]]
    for one in found.exported:
        of = one.artifact
        sizes = f"{of.disk_bytes:,}", f"{of.transfer_bytes:,}"
        latency = [_median(one), interval(one.ratio)] if found.calibrated else []
        # a given file isn't in the folder, and is stated with its path
        lines.append([of.variant.name, visible_name(str(of.path)), *latency, *sizes, _check(one), _findings(one)])
    return lines


def calibrated(found: Calibrated) -> Iterator[str]:
    """On which images a given file's variants were made and compared, and which was chosen."""
    others = "the same" if found.compared_on == found.calibrated_on == 1 else f"{found.compared_on:,} others"
    yield f"images: {found.images}: calibrated on {found.calibrated_on:,}, compared on {others}"
    yield f"loss allowed: {found.loss}"
    if found.choice is None:
        yield "chosen: none: nothing was measured; give a --device of the target's kind"
        return
    yield f"chosen: {found.choice.artifact}: {found.choice.why}"
    for gone in found.choice.dropped:
        yield f"not chosen: {gone.name}: {gone.why}"


def remarks(found: Exports) -> Iterator[str]:
    """What wasn't written or checked, and what NVIDIA's parser said, with those of the same together."""
    if found.calibrated:
        yield from calibrated(found.calibrated)
    for why, names in _grouped((gone.why, gone.name) for gone in found.dropped):
        yield f"not written: {names}: {why}"
    for why, names in _grouped((one.not_checked, one.artifact.name) for one in found.exported):
        yield f"not checked: {names}: {why}"
    for said, names in _grouped((_parsed(one), one.artifact.name) for one in found.exported):
        yield f"{names}: {said}"
    for one in found.exported:
        for line in app.lines(one.app) if one.app else ():
            yield f"for an app: {one.artifact.name}: {line}"


def findings(found: Exports) -> Iterator[tuple[str, str, str]]:
    """The severity of each finding, the status that it is coloured as, and its text with the remedy."""
    for one in found.exported:
        for finding in one.findings:
            status = "fail" if finding.severity == "error" else "inconclusive"
            yield finding.severity, status, f"{one.artifact.name}: {finding.message}\n  {finding.remedy}"


def _median(one: Exported) -> str:
    return "not measured" if one.median_ms is None else f"{one.median_ms:.3f} ms"


def _check(one: Exported) -> str:
    accuracy = f"{one.accuracy.top1:.2%} of {one.accuracy.images:,} images" if one.accuracy else ""
    if one.given:
        return ", ".join(filter(None, ("the given file", accuracy)))
    if one.parity is None:
        return "failed" if one.checked_by else "not checked"
    return ", ".join(filter(None, (parity(one.parity), accuracy, f"on {one.checked_by}")))


def _findings(one: Exported) -> str:
    counts = {"error": one.errors, "warning": len(one.findings) - one.errors}
    return ", ".join(f"{n} {what}{'s' if n > 1 else ''}" for what, n in counts.items() if n) or "none"


def _parsed(one: Exported) -> str | None:
    if one.parsed is None or one.parsed.status == "refused":  # which is a finding
        return None
    compiler = f" ({one.parsed.compiler})" if one.parsed.compiler else ""
    if one.errors and one.parsed.status != "not judged":
        return f"NVIDIA's parser{compiler}, which isn't the target's, accepts it in spite of the errors below"
    return f"{one.parsed.message}{compiler}"


def _grouped(said: Iterable[tuple[str | None, str]]) -> Iterator[tuple[str, str]]:
    """What was said, and of which."""
    groups: dict[str, list[str]] = {}
    for text, name in said:
        if text is not None:
            groups.setdefault(text, []).append(name)
    return ((text, ", ".join(names)) for text, names in groups.items())
