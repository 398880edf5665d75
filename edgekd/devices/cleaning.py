"""Removes what edgekd keeps on a device: files that were sent, engines that were built there."""

from edgekd.devices.transports._base import Connection
from edgekd.errors import DeviceError
from edgekd.worker import WorkerError

_LONGEST_S = 600.0  # many large files on a slow card

# in sh, not in the agent: a full disk has no room for the agent, and a device may have no Python.
# The folder is also that of an edgekd that runs there, so only known folders go.
# What was sent is named by its path on the command line of what runs; [f] keeps grep from finding itself
_REMOVE = """
case $1 in
?*) cache=$1 ;;
*) case ${XDG_CACHE_HOME-} in /*) cache=$XDG_CACHE_HOME/edgekd ;; *) cache=${HOME-}/.cache/edgekd ;; esac ;;
esac
if [ "$2" = unleased ] && grep -l "$cache/[f]iles/" /proc/[0-9]*/cmdline > /dev/null 2>&1; then
echo '{"error": "edgekd is running there", "hint": "Try again when it has ended."}'
exit 0
fi
total=0
known=true
for name in files partial engines; do
if [ -d "$cache/$name" ]; then
size=$(du -sk "$cache/$name" 2> /dev/null | { read -r size _; echo "$size"; })
rm -rf "$cache/$name" || { echo '{"error": "some of it can not be removed"}'; exit 0; }
case $size in ''|*[!0-9]*) known=false ;; *) total=$((total + size)) ;; esac
fi
done
if $known; then echo "{\\"kilobytes\\": $total}"; else echo '{"kilobytes": null}'; fi
"""


def remove(connection: Connection, *, leased: bool = True) -> int | None:
    """Remove it; the bytes that it took on the disk, None where the device has no `du` to tell.

    Args:
        connection: to the device.
        leased: whether the device's lease is held, so that nothing is running there; otherwise that is looked for.

    Raises:
        DeviceError: the device can't be reached, edgekd is running there, or some of it can't be removed.
    """
    command = ["sh", "-c", _REMOVE, "sh", connection.cache or "", "leased" if leased else "unleased"]
    try:
        with connection.start(command) as worker:
            kilobytes = worker.receive(_LONGEST_S)["kilobytes"]
            return None if kilobytes is None else int(kilobytes) * 1024
    except (WorkerError, KeyError, TypeError, ValueError, OverflowError) as e:
        hint = getattr(e, "hint", "") or "Look at the rights of its cache folder, ~/.cache/edgekd on most devices."
        raise DeviceError(f"{connection.title}: can't be cleaned: {e}", hint) from e
