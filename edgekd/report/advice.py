"""What to do about a verdict that isn't a pass."""

from collections.abc import Iterator

from edgekd.values import LimitVerdict, Status, Verdict

_FAILED = {
    "latency": "`edgekd profile MODEL --baseline ORIGINAL --explain` shows which nodes take the time. To compress it, "
    'let more be taken out (`--ratio`), or give each layer its own width: `method = "latency_table"` in `[search]`',
    "accuracy": "train longer (`--epochs`), take out less (`--ratio`), or let pilots choose what is learned: "
    "`race = 0.18` in `[recover]`",
    "size": "INT8 files have about a quarter of the bytes of fp32; taking out more channels (`--ratio`) shrinks both",
    "memory": "a smaller input (`--size`) or fewer channels need less; the runtime itself needs the same for any model",
    "load": "a smaller file loads faster, and so does one whose graph is optimised in advance",
    "first_inference": "run one inference when the application starts, or allow for it in the budget",
    "energy": "fewer operations and INT8 need less; a lower power mode may as well, at a higher latency",
    "fallback": "`edgekd inspect MODEL` and the nodes below name the operators that the provider doesn't take",
}
"""By the table of the limit."""

_OTHERWISE: dict[Status, str] = {
    "inconclusive": "The limit is still between the bounds. Measure longer (`--launches` and `--time-limit` of "
    "`edgekd check`; `launches` in the `[measure]` of a recipe for `compress`), or on a machine that does nothing "
    "else; `edgekd doctor --noise` says how small a difference it can show",
    "invalid": "The device was disturbed, so its times say nothing. Stop what else runs there, let it cool, run the "
    "same command again: only what was invalid is measured again",
    "not measured": "Give a device of the target's kind: `--device`; `edgekd targets detect` says of which kind one is",
}


_NOT_MEASURED = {
    "accuracy": "No accuracy is measured here: `edgekd check` judges that of a measurement which `compress` or `edgekd "
    "export --calibrate` stored",
    "energy": "Energy is judged on devices that report the power they take; `edgekd doctor --device` says which do",
    "memory": "Memory is judged on devices that report what a process takes; remove that limit for others",
}
"""By the table of a limit that another device of the same kind wouldn't decide either."""


def next_steps(verdict: Verdict) -> list[str]:
    """A sentence for each kind of limit that isn't met or decided; none for a pass."""
    return [f"{said}." for said in dict.fromkeys(_said(verdict))]


def _said(verdict: Verdict) -> Iterator[str]:
    if verdict.status == "invalid":
        yield _OTHERWISE["invalid"]
    for limit in verdict.limits:
        if limit.status == "fail":
            yield f"`{limit.name}` is missed: {_missed(limit)}"
        elif limit.status == "not measured" and (table := limit.name.partition(".")[0]) in _NOT_MEASURED:
            yield _NOT_MEASURED[table]
        elif limit.status in _OTHERWISE:
            yield _OTHERWISE[limit.status]


def _missed(limit: LimitVerdict) -> str:
    return _FAILED.get(limit.name.partition(".")[0], "change the model, or the limit")
