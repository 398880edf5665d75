"""Removes what edgekd keeps on a device: files that were sent, engines that were built there."""

from edgekd.devices.transports._base import Connection
from edgekd.errors import DeviceError
from edgekd.worker import WorkerError

_LONGEST_S = 600.0  # many large files on a slow card

# in sh, not in the agent: a full disk has no room for the agent, and a device may have no Python.
# The folder is also that of an edgekd that runs there, so only known folders go
_REMOVE = """
case $1 in
?*) cache=$1 ;;
*) case ${XDG_CACHE_HOME-} in /*) cache=$XDG_CACHE_HOME/edgekd ;; *) cache=${HOME-}/.cache/edgekd ;; esac ;;
esac
total=0
for name in files partial engines; do
if [ -d "$cache/$name" ]; then
size=$(du -sk "$cache/$name" | { read -r size _; echo "$size"; })
rm -rf "$cache/$name" || { echo '{"error": "some of it can not be removed"}'; exit 0; }
total=$((total + size))
fi
done
echo "{\\"kilobytes\\": $total}"
"""


def remove(connection: Connection) -> int:
    """Remove it; the bytes that it took on the disk. Nothing may be running there.

    Raises:
        DeviceError: the device can't be reached, or some of it can't be removed.
    """
    try:
        with connection.start(["sh", "-c", _REMOVE, "sh", connection.cache or ""]) as worker:
            kilobytes = worker.receive(_LONGEST_S)["kilobytes"]
            return int(kilobytes) * 1024
    except (WorkerError, KeyError, TypeError, ValueError, OverflowError) as e:
        hint = getattr(e, "hint", "") or "Look at the rights of its cache folder, ~/.cache/edgekd on most devices."
        raise DeviceError(f"{connection.url}: can't be cleaned: {e}", hint) from e
