"""What `ssh` says where it fails, as errors with a remedy."""

import re

from edgekd.devices.transports._address import Address
from edgekd.errors import DeviceError
from edgekd.visible import visible

# the first pattern that matches ssh's words; {ssh} is the command that a user types, {host} the host
_KNOWN = [
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|differs from the key for the IP address",
        "its host key is not the known one",
        "If the device was set up again: ssh-keygen -R '{known}', then connect by hand and compare the key: {ssh}",
    ),
    (
        r"host key is known for|Host key verification failed|authenticity of host",
        "its host key is not known",
        "Connect once by hand, compare the key and accept it: {ssh}",
    ),
    (
        r"Permission denied \(|Too many authentication failures",
        "it does not accept your key",
        "Put your public key there: ssh-copy-id {ssh_arguments}; if it has a passphrase, add it to the agent: ssh-add",
    ),
    (
        r"Could not resolve hostname|Name or service not known",
        "there is no host of that name",
        "Check the name, or give an IP address; hosts of ~/.ssh/config are known as well.",
    ),
    (
        r"Connection refused",
        "it refuses connections",
        "Check that it runs an ssh server, and the port: ssh://{destination}:PORT",
    ),
    (
        r"No route to host|Network is unreachable|Host is down",
        "there is no route to it",
        "Check that it is on, and in this network.",
    ),
    (
        r"Operation timed out|Connection timed out|timed out during banner exchange|connect to .*: Timeout",
        "it does not answer",
        "Check that it is on, its address, and firewalls between.",
    ),
    (
        r"Bad configuration option|bad configuration options|Bad owner or permissions|terminating, \d+ bad",
        "ssh rejects your configuration",
        "Correct it: {ssh} must work.",
    ),
    (
        r"Session open refused|session request failed|open failed",
        "its ssh server refuses another session",
        "Raise MaxSessions in its sshd_config to 10, which is the default, and reload sshd.",
    ),
    (
        r"No space left on device|Disk quota exceeded",
        "its disk is full",
        "Free some space there: `edgekd devices clean {url}` removes all that edgekd has sent.",
    ),
    (
        r"Read-only file system|Permission denied",
        "the cache folder can't be written",
        "Make ~/.cache/edgekd of that user writable, or set XDG_CACHE_HOME for its ssh logins.",
    ),
]

_RETRIED = re.compile(r"kex_exchange_identification|Connection (reset|closed) by .* port|ssh_exchange_identification")


def failed(
    address: Address, doing: str, words: str, otherwise: str = "Check that this works: {ssh} true"
) -> DeviceError:
    """The error for what ssh wrote to stderr.

    Args:
        address: of the device.
        doing: what was to be done, such as "can't connect".
        words: what ssh wrote.
        otherwise: the remedy where the words are not known.
    """
    terms = _terms(address)
    for pattern, what, remedy in _KNOWN:
        if re.search(pattern, words):
            return DeviceError(f"{address.url}: {doing}: {what}", remedy.format(**terms))
    said = visible(words.splitlines()[-1]) if words else "ssh ended without a message"
    return DeviceError(f"{address.url}: {doing}: {said}", otherwise.format(**terms))


def overloaded(words: str) -> bool:
    """Whether a server may have dropped the connection because too many were being opened (MaxStartups)."""
    return bool(_RETRIED.search(words))


def _terms(address: Address) -> dict[str, str]:
    port = f"-p {address.port} " if address.port else ""
    return {
        "url": address.url,
        "destination": address.destination,
        "known": f"[{address.host}]:{address.port}" if address.port not in (None, 22) else address.host,
        "ssh_arguments": f"{port}{address.destination}",
        "ssh": f"ssh {port}{address.destination}",
    }
