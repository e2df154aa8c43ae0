"""An OpenAI-compatible server reached over HTTP: vLLM, llama.cpp, OpenAI itself, Azure and the like.

Builds requests and maps failures on the wire to the gateway's errors. Its four time-outs are: connect, first byte
(until the status line; also until the next piece of an unstreamed reply), idle (between two pieces of a stream) and
total. Retries, limits and the wait for a stream's first piece are ``guarded``'s. Redirects are replies like any other.

No message or representation holds a key, the value of a header, or the query and credentials of a ``base_url``.
"""

import base64
import contextlib
import re
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Self
from urllib.parse import unquote_to_bytes

import httpx
import msgspec

from gateway import __version__
from gateway.errors import (
    NO_HEADERS,
    BadRequest,
    ConfigurationError,
    PreceptorError,
    UpstreamGarbage,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.settings.upstreams import RemoteSettings, UpstreamLimits
from gateway.upstream.base import Call, UploadCall, UpstreamReply
from gateway.upstream.http_reply import Bounds, HttpReply
from gateway.upstream.transport import AiohttpTransport, transport_for
from gateway.upstream.wire import FRAMING, Origin, Request, WireAnswer

_JSON = (b"content-type", b"application/json")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_PATH = re.compile(rb"/[!-\"$->@-~]*")
_QUERY = re.compile(rb"[!-\"$-~]*")
_DOTS = re.compile(rb"/(\.|%2e){1,2}(?=/|$)", re.IGNORECASE)
"""Path segments that servers resolve: they could lead out of the base URL."""
_SHORTEST_SECRET = 8
"""Characters: a shorter value is no secret, and its letters may stand in any text."""
_LONG_VALUE = 20
"""Characters: a header or query value so long counts as a secret under any name; dates and versions are shorter."""
_SECRET_NAME = re.compile(r"auth|key|token|secret|sig|password|cookie", re.IGNORECASE)
_TARGETS = 256
"""Size of the cache of joined addresses."""


class HttpUpstream:
    """``kind = "openai"``. Implements ``upstream.base.Upstream``.

    Raises ``ConfigurationError`` if the address, the key or a header cannot be sent.
    """

    def __init__(
        self,
        name: str,
        settings: UpstreamLimits,
        base_url: str,
        *,
        api_key: str | None = None,
        api_key_header: str | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
        proxy: str | None = None,
    ) -> None:
        self._name = name
        self._settings = settings
        base = _address(name, base_url)
        self._origin = Origin.of(base)
        self._path = base.raw_path.partition(b"?")[0].rstrip(b"/")
        self._query = base.query
        self._target = lru_cache(_TARGETS)(self._joined)
        self._headers = _own_headers(name, base, headers, api_key, api_key_header)
        self._own = FRAMING | {b"connection", *(header for header, _ in self._headers)}
        self._own_trace = b"traceparent" in self._own
        self._json_headers = self._headers if _JSON[0] in self._own else (*self._headers, _JSON)
        self._bounds = Bounds.of(name, settings, _secrets(base, headers, api_key))
        self._answer_s = min(settings.first_byte_timeout_s, settings.total_timeout_s)
        self._proxy = proxy
        self._transport = transport_for(base.scheme, max_connections=settings.max_connections, proxy=proxy)
        self._uploads: AiohttpTransport | None = None

    @classmethod
    def of(cls, name: str, settings: RemoteSettings, base_url: str) -> Self:
        """The upstream of a section, at an address."""
        return cls(
            name, settings, base_url,
            api_key=settings.api_key, api_key_header=settings.api_key_header, headers=settings.headers,
            proxy=settings.proxy,
        )  # fmt: skip

    async def open(self) -> None:
        """Start nothing: the first call makes the first connection."""

    def ready(self) -> str | None:
        return None

    async def send(self, call: Call) -> UpstreamReply:
        """Send and wait for the status. Also raises ``BadRequest`` for a path or header that cannot be sent."""
        settings = self._settings
        request = Request(
            origin=self._origin,
            method=call.method,
            target=self._target(call.method, call.path, call.query),
            headers=self._headers_of(call),
            traceparent=b"" if self._own_trace else call.traceparent,
            body=call.body,
            once=call.once,
            connect_s=settings.connect_timeout_s,
            answer_s=self._answer_s,
        )
        deadline = time.monotonic() + settings.total_timeout_s
        try:
            if isinstance(call, UploadCall):
                answer = await self._uploaded(request, call)
            else:
                answer = await self._transport.send(request)
        except httpx.TransportError as error:
            raise self._unanswered(error) from error
        if not 200 <= answer.status < 600:
            answer.close()
            raise UpstreamGarbage(
                f"upstream {self._name!r} answered with status {answer.status}, which HTTP does not have"
            )
        return HttpReply(self._bounds, answer, call, deadline)

    async def _uploaded(self, request: Request, call: UploadCall) -> WireAnswer:
        """Send a body in pieces, over a wire that waits for the server to take each."""
        if self._uploads is None:
            self._uploads = AiohttpTransport(max_connections=self._settings.max_connections, proxy=self._proxy)
        length = () if call.length is None else ((b"content-length", b"%d" % call.length),)
        headers = tuple(header for header in self._headers_of(call) if header != _JSON)
        upload = msgspec.structs.replace(request, headers=(*headers, *length), body=call.pieces, once=True)
        return await self._uploads.send(upload)

    async def aclose(self) -> None:
        await self._transport.aclose()
        if self._uploads is not None:
            await self._uploads.aclose()

    def _joined(self, method: str, path: str, query: str) -> bytes:
        """Append path and query of the call to those of the base URL. Raises ``BadRequest``."""
        below, asked = path.encode(errors="replace"), query.encode(errors="replace")
        queries = b"&".join(part for part in (self._query, asked) if part)
        target = self._path + below + (b"?" + queries if queries else b"")
        if not _NAME.fullmatch(method.encode(errors="replace")):
            raise BadRequest("This method is not one of HTTP's.")
        if not _PATH.fullmatch(below) or not _QUERY.fullmatch(asked) or _DOTS.search(below):
            raise BadRequest("This path or query cannot be sent upstream: percent-encode it, without '.' and '..'.")
        return target

    def _headers_of(self, call: Call) -> tuple[tuple[bytes, bytes], ...]:
        """Return the gateway's own headers, then the call's; those of its own name are dropped."""
        if not call.headers:
            return self._json_headers if call.body else self._headers
        given = [header for header in call.headers if header[0] not in self._own]
        if not all(_NAME.fullmatch(name) and _VALUE.fullmatch(value) for name, value in given):
            raise BadRequest("A request header holds a character that cannot be sent upstream.")
        typed = not call.body or any(name == _JSON[0] for name, _ in given)
        return (*(self._headers if typed else self._json_headers), *given)

    def _unanswered(self, error: httpx.TransportError) -> PreceptorError:
        """Return the error for a missing status line."""
        name = self._name
        match error:
            case httpx.ConnectTimeout():
                limit = self._settings.connect_timeout_s
                return UpstreamTimeout(f"upstream {name!r} did not accept a connection within {limit:g} s", sent=False)
            case httpx.TimeoutException():
                return UpstreamTimeout(f"upstream {name!r} sent no status within {self._answer_s:g} s")
            case httpx.ProxyError():
                return UpstreamUnreachable(
                    f"the proxy before upstream {name!r} opens no way: are its address and password right?", sent=False
                )
            case httpx.ProtocolError() | httpx.UnsupportedProtocol():
                return UpstreamGarbage(f"upstream {name!r} answered something that is not HTTP")
            case httpx.ConnectError():
                return UpstreamUnreachable(
                    f"upstream {name!r} cannot be reached: is it running at its base_url?", sent=False
                )
            case _:
                return UpstreamUnreachable(f"upstream {name!r} closed the connection without an answer")


def _address(name: str, base_url: str) -> httpx.URL:
    with contextlib.suppress(httpx.InvalidURL):
        url = httpx.URL(base_url)
        if url.host and (url.port or 0) < 2**16:
            return url
    raise ConfigurationError(f"upstreams.{name}", ["base_url is not an address"])


def _own_headers(
    name: str, base: httpx.URL, more: Mapping[str, str], api_key: str | None, api_key_header: str | None
) -> tuple[tuple[bytes, bytes], ...]:
    """Build the headers of every request: the gateway's own, the configured headers, and the key."""
    headers = {
        b"host": base.netloc,
        b"user-agent": f"preceptor/{__version__}".encode(),
        b"accept-encoding": b"identity",
    }
    mistakes = []
    for header, value in more.items():
        key, content = header.lower().encode(), value.encode()
        if key in FRAMING or not _NAME.fullmatch(key) or not _VALUE.fullmatch(content):
            mistakes.append(f"headers.{header!r} cannot be sent: is there a line break in it?")
        headers[key] = content
    if api_key:
        own = api_key_header
        key, content = (own or "authorization").lower().encode(), (api_key if own else f"Bearer {api_key}").encode()
        if not _NAME.fullmatch(key) or not _VALUE.fullmatch(content):
            mistakes.append("api_key or api_key_header holds a character that no header may have, such as a line break")
        headers[key] = content
    elif base.userinfo:
        headers[b"authorization"] = b"Basic " + base64.b64encode(unquote_to_bytes(base.userinfo))
    if mistakes:
        raise ConfigurationError(f"upstreams.{name}", mistakes)
    return tuple(headers.items())


def _secrets(base: httpx.URL, more: Mapping[str, str], api_key: str | None) -> list[bytes]:
    """Return the values that no error of the upstream may show, the longest first."""
    named = [*more.items(), *base.params.multi_items()]
    likely = {value for name, value in named if _SECRET_NAME.search(name) or len(value) >= _LONG_VALUE}
    secrets = {value for value in {api_key or "", base.password, *likely} if len(value) >= _SHORTEST_SECRET}
    return sorted((value.encode() for value in secrets), key=len, reverse=True)
