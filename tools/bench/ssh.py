"""What ssh adds to a measurement, a large file and a compression: `python tools/bench/ssh.py`.

The device is this machine, behind the ssh server of the tests (loopback; Debian's openssh-server), with a Python that
has numpy and onnxruntime alone. The same Python measures as `local:PYTHON` in turns, each in a process of its own.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from edgekd.measuring.reference import write_reference

sys.path.insert(0, str(Path(__file__).parents[2] / "tests/devices"))
from sshd import Sshd, serving

LARGE_BYTES = 100_000_000

EDGEKD = "import sys; from edgekd.cli import main; sys.exit(main())"

PUSH = """
import json, resource, sys, time
from pathlib import Path
from edgekd.devices.device import connect
with connect(sys.argv[1]) as device:
    device.facts
    seconds, before = [], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for path in sys.argv[2:]:
        start = time.perf_counter()
        device.push([Path(path)])
        seconds.append(time.perf_counter() - start)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"seconds": seconds, "grown_mb": grown / 1e3}))
"""

# an upper bound: what the device computes while its outputs are waited for counts as a transfer
COMPRESS = """
import json, sys, time
from edgekd import cli
from edgekd.devices import client, device
from edgekd.failures import run
spent = dict.fromkeys(("pushes", "fetches", "evaluations"), 0.0)
def timed(owner, name, kind):
    real = getattr(owner, name)
    def call(*given, **more):
        start = time.perf_counter()
        try:
            return real(*given, **more)
        finally:
            spent[kind] += time.perf_counter() - start
    setattr(owner, name, call)
timed(device.Reached, "_push", "pushes")
timed(device.Reached, "fetch", "fetches")
timed(client.Agent, "_send_batch", "evaluations")
timed(client.Agent, "_outputs", "evaluations")
into, start = sys.argv.pop(1), time.perf_counter()
code = run(lambda: cli.app(standalone_mode=False))
spent["all"] = time.perf_counter() - start
open(into, "w").write(json.dumps(spent))
sys.exit(code)
"""


def seconds_of(command: list[str]) -> float:
    """How long a command takes that must succeed."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def measurements(server: Sshd, folder: Path, turns: int) -> Table:
    """`edgekd profile`, as it is by default and as short as can be, by both ways in turns."""
    model = folder / "model.onnx"
    write_reference(model)
    table = Table("edgekd profile", "local: s", "ssh: s", "ssh ÷ local", "ssh - 1.15 × local (goal: 2 s)")
    for options in ([], ["--launches", "1", "--seconds", "0.1"]):
        command = [sys.executable, "-c", EDGEKD, "profile", str(model), "--target", "x86-cpu", *options, "--device"]
        pairs = []
        for turn in range(turns):
            urls = [f"local:{server.python}", server.url]
            times = {url: seconds_of([*command, url]) for url in (urls if turn % 2 else urls[::-1])}
            pairs.append([times[url] for url in urls])
        medians = [f"{statistics.median(times):.2f}" for times in zip(*pairs, strict=True)]
        ratio = statistics.median(there / here for here, there in pairs)
        more = statistics.median(there - 1.15 * here for here, there in pairs)
        table.add_row(" ".join(options) or "as by default", *medians, f"{ratio:.3f}", f"{more:+.2f} s")
    return table


def pushes(server: Sshd, folder: Path) -> Table:
    """A large file, twice; and what a pipe into `ssh cat` takes for it."""
    large = folder / "large"
    large.write_bytes(os.urandom(LARGE_BYTES))
    command = [sys.executable, "-c", PUSH, server.url, str(large), str(large)]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    again = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    with large.open("rb") as file:
        start = time.perf_counter()
        subprocess.run(["ssh", "device", "cat > /dev/null"], stdin=file, check=True)
        bare = time.perf_counter() - start
    table = Table("100 MB", "s")
    table.add_row("ssh device 'cat > /dev/null'", f"{bare:.2f}")
    table.add_row("push: hashed, sent, checked, synced", f"{told['seconds'][0]:.2f}")
    table.add_row("again, by the same process (hashed, not sent)", f"{told['seconds'][1]:.2f}")
    table.add_row("again, by another process (hashed, not sent)", f"{again['seconds'][0]:.2f}")
    table.add_row("growth of the host's memory", f"{told['grown_mb']:.1f} MB")
    return table


def compressions(server: Sshd, folder: Path, options: list[str]) -> Table:
    """How much of `edgekd compress` is waiting for what is sent and fetched, at most."""
    told = folder / "spent.json"
    table = Table("edgekd compress", "all s", "pushes", "fetches", "evaluations", "together (goal: 10 %)")
    for url in (f"local:{server.python}", server.url):
        line = [sys.executable, "-c", COMPRESS, str(told), "compress", "--target", "x86-cpu", "--data", "digits"]
        name = url.partition(":")[0]
        subprocess.run([*line, "--device", url, "--out", str(folder / name), *options], stdout=subprocess.DEVNULL)
        spent = json.loads(told.read_text())
        whole = spent.pop("all")
        shares = [f"{share / whole:.1%}" for share in (*spent.values(), sum(spent.values()))]
        table.add_row(name, f"{whole:.0f}", *shares)
    return table


def main(turns: int = 5, model: str = "mobilenet_v1:width=0.5", compress: bool = True) -> None:
    """Print a table of each, and the load of this machine."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="edgekd-bench-") as name:
        folder = Path(name)
        os.environ |= {"EDGEKD_LEASE": str(folder / "lease"), "EDGEKD_CACHE": str(folder / "cache")}
        with serving(folder / "sshd") as server:
            tables: list[Callable[[], Table]] = [
                lambda: measurements(server, folder, turns),
                lambda: pushes(server, folder),
            ]
            if compress:
                tables.append(lambda: compressions(server, folder, ["--model", model]))
            for made in tables:
                before = os.getloadavg()[0]
                console.print(made(), f"load: {before:.1f} before, {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    typer.run(main)
