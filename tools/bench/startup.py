"""How long the commands take that are to start at once, beside bare Python: `python tools/bench/startup.py`."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

MEASUREMENT_OF = """
import sys
from pathlib import Path
from edgekd.measuring.document import write
from edgekd.values import Artifact, File, Host, Launch, Measurement, MeasuringProtocol, RuntimeInfo, Variant
host = Host(machine="m", arch="x86_64", os="linux", cpu="c", cores=2, python="3")
runtime = RuntimeInfo(name="onnxruntime", version="1", provider="CPUExecutionProvider")
artifact = Artifact(name="net", variant=Variant(runtime="onnxruntime", precision="fp32"),
    files=(File(path="net.onnx", sha256="0"),), disk_bytes=1, transfer_bytes=1)
launch = Launch(load_ms=1, first_ms=1, blocks_ms=tuple((1.0 + i / 1e4,) * 100 for i in range(20)))
write(Path(sys.argv[1]), Measurement(session="s", artifact=artifact, device="local:", target="x86-cpu",
    on_target=True, protocol=MeasuringProtocol(), host=host, runtime=runtime, launches=(launch,) * 5))
"""


def timed(command: list[str], runs: int) -> list[float]:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        times.append(time.perf_counter() - start)
    return times


def main(runs: int = 15) -> None:
    """Print the least and the median seconds of each command, and the ratio to bare Python."""
    with tempfile.TemporaryDirectory() as folder:
        stored, budget = Path(folder) / "m.json", Path(folder) / "b.toml"
        subprocess.run([sys.executable, "-c", MEASUREMENT_OF, str(stored)], check=True)
        budget.write_text('name = "b"\n[latency]\nlimit_ms = 5.0\npercentile = 95\n')
        edgekd = [sys.executable, "-m", "edgekd"]
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "edgekd --help": [*edgekd, "--help"],
            "edgekd targets": [*edgekd, "targets"],
            "edgekd check (10,000 samples)": [*edgekd, "check", str(stored), "--budget", str(budget)],
        }
        rounds = {name: timed(command, runs) for name, command in commands.items()}
    bare = min(rounds["python -c pass"])
    table = Table("command", "least s", "median s", "÷ bare Python")
    for name, times in rounds.items():
        table.add_row(name, f"{min(times):.3f}", f"{statistics.median(times):.3f}", f"{min(times) / bare:.1f}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
