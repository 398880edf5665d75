"""How often `edgekd check` and edgegate are right, side by side: `python tools/bench/edgegate.py`, about a quarter
of an hour.

Both are asked the same two questions, as their users ask them, by their programs and with new processes every time:
is a model slower than itself, with 5 % allowed, and is one slower that has a layer more, which is 7 % more work, with
3 % allowed? edgegate measures the baseline, then the model, and compares one percentile; beside its defaults it is
asked with a floor of 0, since below its usual floor of 0.5 ms nothing counts as slower.

edgegate isn't a dependency of edgekd: `pip install edgegate==0.2.0`. Run it on a machine that does nothing else.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import typer
import yaml
from gate import LAYERS, write_model
from rich.console import Console
from rich.table import Table

CHANNELS, SIZE = 64, 56
PROGRAMS = Path(sys.executable).parent
EDGEKD = {0: "pass", 1: "fail", 3: "inconclusive", 4: "invalid"}
EDGEGATE = {0: "pass", 2: "fail"}
STATUSES = ("pass", "fail", "inconclusive", "invalid")


def edgekd(folder: Path, model: Path, baseline: Path, percent: float) -> str:
    """`edgekd check` with a budget that allows so many percent."""
    budget = folder / "budget.toml"
    budget.write_text(f'name = "bench"\n[latency]\nmax_ratio = {1 + percent / 100}\n')
    options = ["--baseline", baseline, "--budget", budget, "--target", "x86-cpu", "--time-limit", "30"]
    return _run(EDGEKD, "edgekd", "check", model, *options)


def edgegate(folder: Path, model: Path, baseline: Path, percent: float, floor_ms: float | None = None) -> str:
    """`edgegate run` of the baseline, then of the model with a check against it."""
    thresholds = {"latency_p99_regression_pct": percent}
    if floor_ms is not None:
        thresholds["latency_regression_floor_ms"] = floor_ms
    given = {"backend": "onnxruntime", "precision": "fp32", "input": {"shape": [1, CHANNELS, SIZE, SIZE]}}
    for name, path in (("baseline", baseline), ("model", model)):
        stated = {"version": 1, "model": {"path": str(path), **given}, "thresholds": thresholds}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(stated))
    before, after = folder / "before.json", folder / "after.json"
    _run(EDGEGATE, "edgegate", "run", "-c", folder / "baseline.yaml", "-o", before)
    checked = ("-c", folder / "model.yaml", "-o", after, "--check", "--baseline", before)
    return _run(EDGEGATE, "edgegate", "run", *checked)


def floorless(folder: Path, model: Path, baseline: Path, percent: float) -> str:
    """edgegate without its floor."""
    return edgegate(folder, model, baseline, percent, floor_ms=0)


GATES: dict[str, Callable[[Path, Path, Path, float], str]] = {
    "edgekd check": edgekd,
    "edgegate": edgegate,
    "edgegate, floor 0 ms": floorless,
}


def _run(statuses: dict[int, str], program: str, *words: object) -> str:
    """What a program's exit code says; an error of its own ends the bench."""
    ended = subprocess.run([PROGRAMS / program, *map(str, words)], capture_output=True, text=True, check=False)
    if ended.returncode not in statuses:
        raise SystemExit(f"{program}: exit code {ended.returncode}\n{ended.stderr}")
    return statuses[ended.returncode]


def main(count: int = 20, log: Path | None = None) -> None:
    """Ask each question of each gate `count` times, in turns; `log` stores answers as lines of JSON, to resume."""
    try:
        print(f"edgekd {version('edgekd')}, edgegate {version('edgegate')}")
    except PackageNotFoundError as e:
        raise SystemExit(f"{e.name} isn't installed: pip install edgegate==0.2.0") from None
    answers = [json.loads(line) for line in log.read_text().splitlines()] if log and log.exists() else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = write_model(folder / "base.onnx", LAYERS, CHANNELS, SIZE)
        slower = write_model(folder / "slower.onnx", LAYERS + 1, CHANNELS, SIZE)
        questions = {"itself, 5 % allowed": (base, 5.0), "7 % more work, 3 % allowed": (slower, 3.0)}
        for turn in range(count):
            for question, (model, percent) in questions.items():
                for gate, ask in GATES.items():
                    if sum(a["gate"] == gate and a["question"] == question for a in answers) > turn:
                        continue
                    start = time.monotonic()
                    status = ask(folder, model, base, percent)
                    seconds = time.monotonic() - start
                    answers.append({"gate": gate, "question": question, "status": status, "seconds": seconds})
                    if log:
                        with log.open("a") as file:
                            file.write(json.dumps(answers[-1]) + "\n")
    show(answers)


def show(answers: list[dict]) -> None:
    table = Table("beside", "gate", "asked", *STATUSES, "seconds, mean")
    for question in dict.fromkeys(answer["question"] for answer in answers):
        for gate in GATES:
            found = [a for a in answers if (a["question"], a["gate"]) == (question, gate)]
            counts = Counter(answer["status"] for answer in found)
            seconds = sum(answer["seconds"] for answer in found) / len(found)
            table.add_row(question, gate, str(len(found)), *(str(counts[s]) for s in STATUSES), f"{seconds:.0f}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
