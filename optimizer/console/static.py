"""The console's own files: style, script, htmx. They are read once, and named with a digest of their content."""

import hashlib
from functools import cache
from importlib import resources

_KINDS = {"css": b"text/css; charset=utf-8", "js": b"text/javascript; charset=utf-8", "svg": b"image/svg+xml"}
_NAMES = ("console.css", "console.js", "htmx.min.js", "icon.svg")


@cache
def content(name: str) -> bytes:
    """Return the bytes of a file."""
    return resources.files("optimizer.console").joinpath("files", name).read_bytes()


@cache
def link(name: str) -> str:
    """Return the address of a file; another content has another address, so browsers may keep it for ever."""
    return f"/ui/static/{hashlib.sha256(content(name)).hexdigest()[:12]}/{name}"


def response(parts: tuple[str, ...]) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return status, headers and body for an address below ``/ui/static``."""
    name = parts[-1] if parts else ""
    if name not in _NAMES:
        return 404, [(b"content-type", b"text/plain")], b"There is no such file.\n"
    headers = [
        (b"content-type", _KINDS[name.rpartition(".")[2]]),
        (b"cache-control", b"public, max-age=31536000, immutable"),
        (b"x-content-type-options", b"nosniff"),
    ]
    return 200, headers, content(name)
