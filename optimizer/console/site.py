"""The console as an ASGI application: sessions, roles and forms are checked here, once for every page."""

import asyncio
import hmac
import logging
import os
from collections.abc import Mapping, Sequence
from http.cookies import CookieError, SimpleCookie
from typing import Any, cast
from urllib.parse import parse_qsl, quote, unquote

from litestar.types import HTTPScope, Receive, Scope, Send

from gateway.api.http import header, read_body
from gateway.errors import BadRequest, Forbidden, MethodNotAllowed, NotFound, PreceptorError
from gateway.services import Services
from optimizer.console import static
from optimizer.console.pages import ROUTES
from optimizer.console.render import render
from optimizer.console.session import COOKIE, LIFE_S, SECRET, ConsoleSession, form_token, opened, sealed
from optimizer.console.visit import Page, Redirect, Route, Visit
from optimizer.console.visitors import Visitor, is_open, visitor_with, visitors_named

log = logging.getLogger(__name__)

_BODY = 2_000_000
"""Bytes of a form."""
_FIELDS = 200
AT_ONCE = 2
"""Pages that are made at once: each thread that computes takes the interpreter from the event loop in turn."""
_Headers = list[tuple[bytes, bytes]]
_GUARDS: _Headers = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        b"default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
]


class Console:
    """The ASGI application below ``/ui``."""

    def __init__(self, services: Services, routes: Sequence[Route] = ROUTES) -> None:
        self._services = services
        self._routes = routes
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        http = cast("HTTPScope", scope)
        parts = _parts(http)
        if parts[:1] == ("static",):
            await _send(send, *static.response(parts[1:]))
            return
        status, headers, text = await self._answer(http, receive, parts)
        await _send(send, status, [*headers, *_GUARDS], text.encode("utf-8", "replace"))

    async def _answer(self, scope: HTTPScope, receive: Receive, parts: tuple[str, ...]) -> tuple[int, _Headers, str]:
        try:
            form = await self._form(scope, receive)
            async with self._turns:
                return await asyncio.to_thread(self._serve, scope, parts, form)
        except PreceptorError as error:
            return error.status, [], _trouble(error.status, error.message)
        except Exception:
            log.exception("a page of the console failed", extra={"action": "console.bug"})
            return 500, [], _trouble(500, "This page failed. The gateway's log says why.")

    async def _form(self, scope: HTTPScope, receive: Receive) -> Mapping[str, str]:
        if scope["method"] != "POST":
            return {}
        body = await read_body(scope, receive, _BODY, self._services.bodies)
        self._services.bodies.free(len(body))
        try:
            return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_FIELDS, errors="strict"))
        except ValueError:
            raise BadRequest("The form cannot be read.") from None

    def _serve(self, scope: HTTPScope, parts: tuple[str, ...], form: Mapping[str, str]) -> tuple[int, _Headers, str]:
        """Answer a request on this thread."""
        services, now = self._services, self._services.wall_clock()
        if not is_open(services):
            raise NotFound("The console is off: set server.admin_key, and sign in with that key.")
        secret = _secret(self._services)
        cookie = _cookie(scope)
        visitor = opened(cookie, secret, lambda name: visitors_named(services, name, now), now)
        token = form_token(secret, cookie if visitor is not None and parts != ("login",) else "")
        if scope["method"] == "POST":
            _check_form(scope, form, token)
        if parts == ("login",):
            return self._login(scope, form, secret, now, token, ended=bool(cookie) and visitor is None)
        if parts == ("logout",) and scope["method"] == "POST":
            return _to("/ui/login", [(b"set-cookie", f"{COOKIE}=; Path=/ui; Max-Age=0; HttpOnly".encode())])
        if visitor is None:
            return _to(f"/ui/login?next={quote(_address(scope), safe='')}")
        return self._page(scope, parts, form, visitor, token, now)

    def _login(
        self, scope: HTTPScope, form: Mapping[str, str], secret: bytes, now: float, token: str, *, ended: bool
    ) -> tuple[int, _Headers, str]:
        after = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("next", "")
        after = form.get("next", after)
        wrong = ""
        if scope["method"] == "POST":
            visitor = visitor_with(self._services, form.get("key", "").strip())
            if visitor is not None:
                session = ConsoleSession(name=visitor.name, expires=int(now + LIFE_S))
                secure = "; Secure" if _behind_tls(scope) else ""
                value = sealed(session, secret, visitor.digest)
                kept = f"{COOKIE}={value}; Path=/ui; Max-Age={LIFE_S:.0f}; HttpOnly; SameSite=Strict{secure}"
                return _to(_local(after), [(b"set-cookie", kept.encode())])
            wrong = "This key opens nothing here. It may be mistyped, or not be for the console."
        status = 401 if wrong else 200
        values = {"wrong": wrong, "ended": ended and not wrong, "next": _local(after), "token": token}
        return status, [], render("login.html", values)

    def _page(
        self, scope: HTTPScope, parts: tuple[str, ...], form: Mapping[str, str], visitor: Visitor, token: str,
        now: float,
    ) -> tuple[int, _Headers, str]:  # fmt: skip
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        frame = {"visitor": visitor, "token": token, "now": now, "address": _address(scope), "rights": visitor.may}
        matches = [(route, path) for route in self._routes if (path := route.match(parts)) is not None]
        try:
            if not matches:
                raise NotFound("There is no such page.")
            route, path = next(((route, path) for route, path in matches if route.method == method), (None, ()))
            if route is None:
                raise MethodNotAllowed("This page takes no such request.")
            if not visitor.may(route.role):
                raise Forbidden(f"This needs a key with the role {route.role!r}; yours has {visitor.role!r}.")
            query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
            visit = Visit(services=self._services, visitor=visitor, path=path, query=query, form=form, now=now)
            answer = route.handler(visit)
        except PreceptorError as error:
            answer = Page(template="trouble.html", values={"why": error.message}, status=error.status)
        if isinstance(answer, Redirect):
            return _to(answer.to)
        return answer.status, [], render(answer.template, {**frame, **answer.values, "http_status": answer.status})


def _secret(services: Services) -> bytes:
    """Return the secret of all sessions, made at the first visit. Raises ``StoreError``."""
    secret = SECRET.read(services.store)
    if secret is None:
        # Of two first visitors at once one makes it: otherwise the session of the other would end at once.
        SECRET.change(services.store, lambda known: known or os.urandom(32))
        secret = SECRET.read(services.store)
    assert secret is not None
    return secret


def _check_form(scope: HTTPScope, form: Mapping[str, str], token: str) -> None:
    """Raise ``Forbidden`` for a form that none of our pages made for this visitor."""
    origin = header(scope, b"origin")
    elsewhere = origin is not None and origin.partition("://")[2].lower() != (header(scope, b"host") or "").lower()
    given = form.get("token", "")
    if elsewhere or not hmac.compare_digest(given.encode(), token.encode()):
        raise Forbidden("This form is too old or comes from elsewhere. Nothing was changed: load the page again.")


def _parts(scope: HTTPScope) -> tuple[str, ...]:
    raw = scope.get("raw_path", b"").decode("latin-1").partition("?")[0]
    return tuple(unquote(part) for part in raw.split("/")[2:] if part)


def _address(scope: HTTPScope) -> str:
    raw = scope.get("raw_path", b"").decode("latin-1").partition("?")[0]
    query = scope["query_string"].decode("latin-1")
    return f"{raw}?{query}" if query else raw


def _cookie(scope: HTTPScope) -> str:
    try:
        cookies = SimpleCookie(header(scope, b"cookie") or "")
    except CookieError:
        return ""
    return cookies[COOKIE].value if COOKIE in cookies else ""


def _behind_tls(scope: HTTPScope) -> bool:
    return scope["scheme"] == "https" or header(scope, b"x-forwarded-proto") == "https"


def _local(after: str) -> str:
    """Return an address of this console to go to after signing in; no other site's."""
    return after if after == "/ui" or after.startswith(("/ui/", "/ui?")) else "/ui"


def _to(address: str, headers: Sequence[tuple[bytes, bytes]] = ()) -> tuple[int, _Headers, str]:
    return 303, [(b"location", quote(address, safe="/:?&=%+,;@~!$'()*#[]-._").encode()), *headers], ""


def _trouble(status: int, why: str) -> str:
    return render("trouble.html", {"why": why, "http_status": status, "visitor": None, "token": "", "address": ""})


async def _send(send: Send, status: int, headers: _Headers, body: bytes) -> None:
    about: Any = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": about})
    await send({"type": "http.response.body", "body": body, "more_body": False})
