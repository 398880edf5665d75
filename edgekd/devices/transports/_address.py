"""The address of a device that is reached over a network: `[user@]host[:port][/path/to/python]`."""

import re
from dataclasses import dataclass

from edgekd.errors import EdgekdError
from edgekd.visible import visible_name

# blanks, control characters, and what a shell acts on: a ProxyCommand of the user's may contain the name
_REFUSED = re.compile(r"""[\s\x00-\x1f\x7f-\x9f'"`$\\;&<>|(){}]""")
_SHAPE = "Write it as ssh://[user@]host[:port][/path/to/python]; an IPv6 address goes in brackets: ssh://[::1]:22."


@dataclass(frozen=True)
class Address:
    """Where a device is, and the Python there, if one is named. The user and the port are left to ssh if None."""

    host: str
    user: str | None = None
    port: int | None = None
    python: str | None = None

    @property
    def destination(self) -> str:
        """As `ssh` takes it."""
        return f"{self.user}@{self.host}" if self.user else self.host

    @property
    def url(self) -> str:
        """As the user writes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ssh://{self.user + '@' if self.user else ''}{host}{self.suffix}{visible_name(self.python or '')}"

    @property
    def suffix(self) -> str:
        """The port after a colon, if there is one."""
        return f":{self.port}" if self.port else ""


def parse(where: str) -> Address:
    """The address. Raises EdgekdError if it isn't one, or if ssh would take the user or the host for an option."""
    authority, slash, path = where.partition("/")
    user, at, rest = authority.rpartition("@")
    found = re.fullmatch(r"(?:\[([^\[\]]*)\]|([^\[\]:]*))(?::(\d{1,5}))?", rest)
    if found is None or "\0" in path:
        raise _wrong(where, "is no address of a device", _SHAPE)
    if ":" in user:
        raise _wrong(where, "contains a password", "Use a key: ssh-copy-id USER@HOST puts yours on the device.")
    host, port = found[1] or found[2] or "", int(found[3]) if found[3] else None
    for what, name in (("user", user), ("host", host)):
        if name.startswith("-") or _REFUSED.search(name) or not (name or (what == "user" and not at)):
            raise _wrong(where, f"{visible_name(name)!r} is no name of a {what}", _SHAPE)
    if port is not None and not 0 < port < 65536:
        raise _wrong(where, f"{port} is no port", _SHAPE)
    return Address(host, user or None, port, slash + path if path else None)


def _wrong(where: str, what: str, hint: str) -> EdgekdError:
    # what may be a password is not printed
    shown = visible_name(where.rpartition("@")[2])
    return EdgekdError(f"device ssh://{shown}: {what}", hint)
