"""The HTTP proxy on the way to a server: stated, or the machine's own for https (``HTTPS_PROXY``, ``NO_PROXY``).

Plain http goes straight unless its section says otherwise: such servers stand in the same network. Nor is a proxy asked
for this machine. Reads no environment: it is passed in.
"""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

NONE = "none"
"""States a straight way in spite of the environment."""


def proxy_for(address: str, environment: Mapping[str, str]) -> str | None:
    """Return the machine's proxy for an address; ``None`` for a straight way."""
    parts = urlsplit(address)
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme != "https" or _is_this_machine(host):
        return None
    proxy = _variable("HTTPS_PROXY", environment)
    if not proxy or _is_exempt(host, parts.port or 443, _variable("NO_PROXY", environment)):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _variable(name: str, environment: Mapping[str, str]) -> str:
    """Return a variable; by custom its name in lower case comes first."""
    return environment.get(name.lower()) or environment.get(name) or ""


def _is_this_machine(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def _is_exempt(host: str, port: int, exempt: str) -> bool:
    """Decide whether ``NO_PROXY`` names a host: ``*``, a name with all below it, an address or a network."""
    address = _address(host)
    for entry in filter(None, (part.strip().lower() for part in exempt.split(","))):
        if entry == "*":
            return True
        network = _network(entry)
        if network is not None:
            if address is not None and address in network:
                return True
            continue
        name, _, only = entry.rpartition(":")
        if name and only.isdecimal():
            if int(only) != port:
                continue
            entry = name  # noqa: PLW2901 - the port has been looked at
        name = entry.removeprefix("*").removeprefix(".")
        if host == name or host.endswith(f".{name}"):
            return True
    return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return None
