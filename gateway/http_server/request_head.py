"""A request's head: checks beyond the parser's, and the ASGI scope. Pure functions.

Checks the version, the host and the transfer coding: two servers in a row may read an ambiguous head in two ways
(RFC 9112, sections 2.3, 3.2 and 6.1).
"""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import unquote

from httptools import parse_url

from gateway.errors import BadRequest
from gateway.memo import remembered

_BY_NAME: Final = "preceptor.headers"
"""The key of the headers by name in an ASGI scope."""

Header = tuple[bytes, bytes]
Scope = dict[str, Any]

FRAMING: Final = frozenset({b"host", b"transfer-encoding", b"expect"})
"""Headers with a meaning to the server itself, in lower case."""


class BadHead(BadRequest):
    """A request that the server itself refuses, before any application."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def mistake_in(version: str, framing: Sequence[Header]) -> BadHead | None:
    """Return the mistake in a head with these ``FRAMING`` headers; ``None`` if there is none."""
    if version == "1.1" and len(framing) == 1 and framing[0][0] == b"host":
        return None  # nearly every request
    if version not in ("1.0", "1.1"):
        return BadHead(400, "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
    names = [name for name, _ in framing]
    hosts = names.count(b"host")
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        return BadHead(400, "A request has one Host header.")
    codings = [value.strip().lower() for name, value in framing if name == b"transfer-encoding"]
    if codings and (version == "1.0" or len(codings) > 1):
        return BadHead(400, "A request has at most one Transfer-Encoding header, and none in HTTP/1.0.")
    if codings and codings != [b"chunked"]:
        return BadHead(400, "The only transfer coding understood here is chunked.")
    return None


def expects_continue(framing: Sequence[Header]) -> bool:
    """Decide whether the client waits for status 100 before it sends the body."""
    return any(name == b"expect" and value.strip().lower() == b"100-continue" for name, value in framing)


def without_upgrade(method: bytes, url: bytes, version: bytes, headers: Sequence[Header]) -> bytes:
    """Return the bytes of a head without its offer to upgrade to another protocol."""
    lines = [b"%s %s HTTP/%s" % (method, url, version)]
    for name, value in headers:
        if name == b"connection":
            others = (option for option in value.split(b",") if option.strip().lower() != b"upgrade")
            lines.append(b"connection: " + b",".join(others))
        elif name != b"upgrade":
            lines.append(b"%s: %s" % (name, value))
    return b"\r\n".join((*lines, b"\r\n"))


def new_scope(method: bytes, url: bytes, version: str, headers: list[Header]) -> Scope:
    """Return the ASGI scope of a request, without the connection's part. The parser turns errors into its own."""
    path, raw_path, query = split_target(url)
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": version,
        "scheme": "http",
        "method": method.decode("ascii"),
        "root_path": "",
        "path": path,
        "raw_path": raw_path,
        "query_string": query,
        "headers": headers,
    }


def headers_by_name(scope: Scope) -> dict[bytes, bytes]:
    """Return a request's headers by their lower-case names: of several with a name, the first. Kept in the scope."""
    named: dict[bytes, bytes] | None = scope.get(_BY_NAME)
    if named is None:
        named = scope[_BY_NAME] = by_name(scope["headers"])
    return named


def by_name(headers: Sequence[Header]) -> dict[bytes, bytes]:
    """Return headers by their names: of several with a name, the first."""
    return dict(headers[::-1])


@remembered
def split_target(url: bytes) -> tuple[str, bytes, bytes]:
    """Split a request's target into decoded path, raw path and query."""
    parsed = parse_url(url)
    raw_path = parsed.path or b"/"
    return unquote(raw_path.decode("ascii")), raw_path, parsed.query or b""
