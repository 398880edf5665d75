"""What `ssh` and programs on a device say when they fail, as errors with a remedy."""

import re
import shlex
from collections.abc import Mapping, Sequence

from edgekd.devices.transports._address import Address
from edgekd.errors import DeviceError, DiskFullError
from edgekd.visible import visible

Known = Sequence[tuple[str, str, str]]
"""What the first matching pattern means, and the remedy; {ssh} is the command that a user types."""

_CONNECTING: Known = [
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|differs from the key for the IP address",
        "its host key has changed",
        "If the device was set up again: {remove}, then connect by hand and compare the key: {ssh}",
    ),
    (
        r"host key is known for|Host key verification failed|authenticity of host",
        "its host key is unknown",
        "Connect once by hand, compare the key and accept it: {ssh}",
    ),
    (
        r"Permission denied \(|Too many authentication failures",
        "it does not accept your key",
        "Put your public key there: ssh-copy-id {arguments}; if it has a passphrase, add it to the agent: ssh-add",
    ),
    (
        r"Could not resolve hostname",
        "the host name can't be resolved",
        "Check the name, or give the IP address; hosts of ~/.ssh/config can be given as well.",
    ),
    (
        r"Connection refused",
        "the connection was refused",
        "Check that an ssh server runs there, and its port: ssh://HOST:PORT",
    ),
    (
        r"No route to host|Network is unreachable|Host is down",
        "there is no route to it",
        "Check that it is switched on, and that both are in one network.",
    ),
    (
        r"timed out",
        "it does not answer",
        "Check that it is switched on, its address, and firewalls in between.",
    ),
    (
        r"[Bb]ad configuration option|Bad owner or permissions|keyword .* extra arguments",
        "ssh rejects your configuration",
        "Correct it; this must work: {ssh}",
    ),
]

_RUNNING: Known = [
    (
        r"refused by peer|open failed|session request failed",
        "its ssh server refuses another session",
        "Set MaxSessions to 10, the default, in its sshd_config, and reload sshd.",
    ),
    (
        r"Read-only file system|Permission denied|Not a directory|No such file|Operation not permitted",
        "the folder can't be written",
        "Make the folder writable for this user, or set XDG_CACHE_HOME for ssh sessions on the device.",
    ),
]

_DROPPED = re.compile(r"(kex|ssh)_exchange_identification: |Connection (reset|closed) by .* port")


def not_connected(address: Address, words: str) -> DeviceError:
    """The error for what ssh wrote to stderr when it could not connect."""
    return _failed(address, f"{address.url}: can't connect", words, _CONNECTING, "Check that this works: {ssh}")


def not_done(address: Address, doing: str, words: str) -> DeviceError:
    """The error for what a program on the device wrote to stderr, or ssh about its session."""
    doing = f"{address.url}: {doing}"
    if full := re.search(r"No space left on device|Disk quota exceeded", words):
        return DiskFullError(f"{doing}: its disk is full ({full[0]})", freeing(address.url))
    return _failed(address, doing, words, _RUNNING, "Try again.")


def freeing(url: str) -> str:
    """The remedy for a full disk."""
    return f"Free space there; if edgekd keeps files there, `edgekd devices clean {url}` removes them."


def dropped(words: str) -> bool:
    """Whether a server may have dropped the connection because many were being opened at once (MaxStartups)."""
    return bool(_DROPPED.search(words))


def _failed(address: Address, doing: str, words: str, known: Known, otherwise: str) -> DeviceError:
    terms = {**_terms(address), "remove": _removing(address, words)}
    for pattern, what, remedy in known:
        if re.search(pattern, words):
            detail = _last_line(words) if known is _RUNNING else ""
            return DeviceError(f"{doing}: {what}{detail and f' ({detail})'}", remedy.format(**terms))
    return DeviceError(f"{doing}: {_last_line(words) or 'no reason was given'}", otherwise.format(**terms))


def _last_line(words: str) -> str:
    return visible(words.splitlines()[-1]) if words else ""


def _removing(address: Address, words: str) -> str:
    """The command that removes a host's key, by the name and the file that ssh reports: ~/.ssh/config decides both."""
    name = re.search(r"^Host key for (\S+) has changed", words, re.MULTILINE)
    file = re.search(r"^Offending .*key in (.+):\d+$", words, re.MULTILINE)
    if name and file:
        return visible(f"ssh-keygen -f {shlex.quote(file[1])} -R {shlex.quote(name[1])}")
    known = f"[{address.host}]:{address.port}" if address.port not in (None, 22) else address.host
    return f"ssh-keygen -R {shlex.quote(known)}"


def _terms(address: Address) -> Mapping[str, str]:
    port = f"-p {address.port} " if address.port else ""
    return {
        "url": address.url,
        "arguments": f"{port}{address.destination}",
        "ssh": f"ssh {port}{address.destination}",
    }
