"""Shell scripts for devices: any POSIX `sh` runs them, also busybox's and Android's."""

import re
import shlex
from collections.abc import Mapping, Sequence

BEGIN, END = "edgekd-begin", "edgekd-end"

USERS_CACHE = "case ${XDG_CACHE_HOME-} in /*) cache=$XDG_CACHE_HOME ;; *) cache=${HOME-}/.cache ;; esac"
"""Sets `cache` to the user's cache folder."""

PYTHONS = (*(f"python3.{minor}" for minor in range(13, 7, -1)), "python3")
"""Searched for on the device's PATH, in this order."""

# bytes that all shells take literally between single quotes, and `printf %b` as well
_PLAIN = re.compile(rb"[A-Za-z0-9_./:,=+@ -]")

ASK_PYTHON = """
import sys
try:
    from importlib.util import find_spec
    found = [name for name in sys.argv[1:] if find_spec("numpy") and find_spec(name)]
except Exception:
    found = []
sys.stdout.write("%d.%d %s" % (sys.version_info[0], sys.version_info[1], ",".join(found)))
"""
"""Reports a Python's version and which modules, given as arguments, it has. Python 2 runs it, and is then too old."""

_PROBE = """
echo {begin}
umask 077
{cache}
cache=$cache/edgekd
printf 'cache %s\\n' "$cache"
if problem=$(mkdir -p "$cache/files" 2>&1) && ! [ -w "$cache/files" ]; then problem="Permission denied"; fi
printf 'unwritable %s\\n' "${{problem##*: }}"
printf 'arch %s\\n' "$(uname -m)"
printf 'boot %s\\n' "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"
cd "$cache/files" 2>/dev/null && for name in *; do printf 'has %s\\n' "$name"; done
cd /
for python in {pythons}; do
path=$(command -v "$python") && said=$("$path" -c {ask} {runtimes} 2>/dev/null) &&
printf 'python %s %s\\n' "$said" "$path"
done
echo {end}
exec cat >/dev/null 2>&1
"""

_RECEIVE = """
LC_ALL=C; export LC_ALL
umask 077
cache={cache}; key={key}; there=$cache/files/$key
if [ -d "$there" ]; then echo has; exit 0; fi
command -v tar >/dev/null || {{ echo "lacks tar"; exit 0; }}
command -v sha256sum >/dev/null || command -v shasum >/dev/null || {{ echo "lacks sha256sum"; exit 0; }}
mkdir -p "$cache/files" "$cache/partial" || exit 1
host=$(uname -n)
for old in "$cache/partial/$host".*; do
if [ -e "$old" ] && ! kill -0 "${{old##*.}}" 2>/dev/null; then rm -rf "$old"; fi
done
free=$(df -Pk "$cache/partial" | {{ read -r _; read -r _ _ _ free _; echo "$free"; }})
if [ "$free" -lt {kilobytes} ] 2>/dev/null; then echo "full $free"; exit 0; fi
partial=$cache/partial/$host.$$
trap 'rm -rf "$partial"' EXIT
trap 'exit 1' HUP INT TERM PIPE
sum() {{ sha256sum 2>/dev/null || shasum -a 256; }}
check() {{
found=$(sum < "$partial/$key/$1")
if [ "${{found%% *}}" != "$2" ]; then echo "differs $1"; exit 0; fi
}}
mkdir "$partial" && echo send && tar -xf - -C "$partial" || exit 1
. "$partial/check" || exit 1
sync -f "$partial" 2>/dev/null || sync
mv "$partial/$key" "$there" || [ -d "$there" ] || exit 1
rm -rf "$there/$key"
echo done
"""


def command(script: str) -> str:
    """One line that runs a script in `sh`, whichever shell gets it: sh, csh and fish quote differently.

    The line has no character within quotes that one of them acts on: they are written as octal numbers.
    """
    written = b"".join(one if _PLAIN.match(one) else b"\\0%03o" % one[0] for one in _bytes(script))
    return f"""exec sh -c 'eval "$(printf %b "$1")"' sh '{written.decode()}'"""


def _bytes(text: str) -> list[bytes]:
    return [bytes([one]) for one in text.strip().encode("utf-8", "surrogateescape")]


def run(arguments: Sequence[str]) -> str:
    """Runs a program; its exit status is the script's, also where a signal ends it."""
    return f"{shlex.join(arguments)}\nexit $?"


def read(path: str) -> str:
    """Prints how many bytes a file has, on a line of its own, and then the file."""
    quoted = shlex.quote(path)
    return f"wc -c < {quoted} && exec cat < {quoted}"


def probe(cache: str, python: str | None, runtimes: Sequence[str]) -> str:
    """Says what the device has, line by line between BEGIN and END, then waits for the end of stdin.

    Args:
        cache: a line that sets `cache` to the folder in which edgekd's own is.
        python: the only one that is asked; None: those of PYTHONS.
        runtimes: the modules that each Python is asked for.
    """
    pythons = [python] if python else PYTHONS
    return _PROBE.format(
        begin=BEGIN,
        end=END,
        cache=cache,
        pythons=shlex.join(pythons),
        ask=shlex.quote(ASK_PYTHON),
        runtimes=shlex.join(runtimes),
    )


def receive(cache: str, key: str, size: int) -> str:
    """Takes a tar archive of so many bytes from stdin: the folder KEY, which becomes `files/KEY` of the cache folder.

    Its last member is `check`, see `checks`. The script prints "has", "lacks PROGRAM", "full FREE_KB" or "send", and
    after the archive "done", or "differs NAME". The folder gets its name when it is complete and on the disk, unless
    another push of the same was faster; what an interrupted push left is removed by the next one.
    """
    return _RECEIVE.format(cache=shlex.quote(cache), key=shlex.quote(key), kilobytes=size // 1024 + 1)


def checks(hashes: Mapping[str, str]) -> bytes:
    """The archive's member `check`: the SHA-256 of each file, by its name."""
    lines = (f"check {shlex.quote(name)} {sha256}\n" for name, sha256 in hashes.items())
    return "".join(lines).encode("utf-8", "surrogateescape")
