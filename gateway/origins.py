"""The hosts by which clients may call the gateway, and the web pages allowed to.

A gateway without client keys trusts everybody who can reach it, and a web page can reach it through its visitor's
browser: with a request across sites, or under a name of its own for the gateway's address (DNS rebinding). So without
keys, only names of this machine and addresses count as hosts, and no page of another site passes. Decides; ``api``
answers.
"""

import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from gateway.errors import Forbidden, shown
from gateway.settings import Server

_ANY: Final = "*"


class Origins:
    """The rules of a configuration. ``keyless``: no request needs a key."""

    def __init__(self, server: Server, *, keyless: bool) -> None:
        self._keyless = keyless
        self._hosts = frozenset(name.lower() for name in server.allowed_hosts)
        self._own_host = server.host.lower()
        self._pages = frozenset(page.lower().encode() for page in server.cors_origins)
        self._checks_hosts = (keyless or bool(self._hosts)) and _ANY not in self._hosts
        self.any = keyless or bool(self._hosts) or bool(self._pages)
        """True if there is a rule to check."""
        self._allows = lru_cache(1024)(self._host_allowed)
        """By the header's bytes: clients name few hosts, and every request has one."""

    def check(self, headers: Mapping[bytes, bytes]) -> bytes | None:
        """Check a request by its headers, names in lower case.

        Return the origin of an allowed web page, for CORS; ``None`` for any other allowed request.

        Raises ``Forbidden``.
        """
        host, origin = headers.get(b"host", b""), headers.get(b"origin")
        if self._checks_hosts and not self._allows(host):
            raise Forbidden(
                f"The host {shown(host_name(host))!r} is not allowed: add it to server.allowed_hosts"
                + (", or set up client keys (preceptor keys new)." if self._keyless else "."),
                code="host_not_allowed",
            )
        if origin is not None and (_ANY.encode() in self._pages or origin.lower() in self._pages):
            return origin
        if self._keyless and _cross_site(origin, host, headers.get(b"sec-fetch-site")):
            raise Forbidden(
                "Web pages of other sites may not use this gateway: add theirs to server.cors_origins.",
                code="origin_not_allowed",
            )
        return None

    def _host_allowed(self, host: bytes) -> bool:
        name = host_name(host)
        if name in self._hosts or any(
            pattern.startswith("*.") and name.endswith(pattern[1:]) for pattern in self._hosts
        ):
            return True
        return self._keyless and (name == self._own_host or is_local(name))


def _cross_site(origin: bytes | None, host: bytes, fetch_site: bytes | None) -> bool:
    """Decide whether a page of another site sent the request. Programs send none of these headers."""
    if origin is not None:
        return origin.partition(b"://")[2].lower() != host.lower()
    return fetch_site == b"cross-site"


def host_name(host: bytes) -> str:
    """Return the name or address in a ``Host`` header, in lower case, without its port."""
    text = host.decode("latin-1").strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    name, _, port = text.rpartition(":")
    return (name if name and port.isdecimal() else text).rstrip(".")


def is_local(name: str) -> bool:
    """Decide whether no foreign DNS server answers for a name: ``localhost``, names below it, or an address."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
