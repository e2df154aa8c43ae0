"""The tree of every error for a client or a shell.

::

    PreceptorError                     500  api_error
    ├── ConfigurationError                  (start-up and command line only; lists every mistake)
    ├── BadRequest                     400  invalid_request_error
    │   ├── NotFound                   404
    │   │   └── ModelNotFound          404  code model_not_found
    │   ├── Unauthorized               401  code invalid_api_key
    │   ├── Forbidden                  403  the key is right, and not for that
    │   ├── MethodNotAllowed           405
    │   ├── UpgradeRequired            426  a WebSocket was asked for
    │   ├── Conflict                   409  the state has changed since, or a bound is reached
    │   ├── BodyTooLarge               413
    │   ├── UnsupportedCoding          415  the body is compressed in another way
    │   └── RateLimited                429  code rate_limit_exceeded
    ├── Overloaded                     503  the gateway itself cannot take it now
    ├── UpstreamError                  502  code upstream_error
    │   ├── UpstreamUnreachable        502  refused, reset before a status, unknown host
    │   ├── UpstreamGarbage            502  an answer against the protocol
    │   ├── UpstreamBroken             502  the answer broke off
    │   ├── UpstreamTooLarge           502  an answer larger than allowed
    │   ├── UpstreamTimeout            504  connect, first byte, idle or total
    │   └── UpstreamResting            503  left alone for a while after many failures in a row
    ├── UpstreamRefused                (its own status, body and headers are handed on)
    └── StoreError                     503  the database cannot be read or written now

Each class carries the HTTP status and OpenAI's ``type`` and ``code``: the client's SDK raises its usual exception.
Foreign errors are mapped at the seams (``upstream/``, ``store/``, ``settings``) and chained with ``from``. No message
carries a key, a header or a prompt.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


_SHOWN = 200
"""Characters of a client's own text that a message repeats."""


class PreceptorError(Exception):
    """Root of the tree. ``str(error)`` is one line with advice."""

    status: int = 500
    type: str = "api_error"
    code: str | None = None
    quotes: bool = False
    """The message may quote a prompt or a reply, so it must not be logged."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.headers = headers
        """Headers of the response, in lower case, such as ``retry-after``."""
        if code is not None:
            self.code = code

    def for_log(self) -> str:
        """Return the message, or only the error's name if the message may quote a text."""
        return type(self).__name__ if self.quotes else self.message

    def body(self) -> bytes:
        """Return the error in OpenAI's shape: one JSON object with ``error``, all four keys present."""
        return error_body(self.message, self.type, self.param, self.code)

    def words(self) -> str:
        """Return the words for a person: an upstream's own where it has some."""
        return self.message


def shown(text: str) -> str:
    """Return a client's text, cut for a message."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def error_body(message: str, type_: str, param: str | None = None, code: str | None = None) -> bytes:
    """Return OpenAI's error object as JSON bytes."""
    return msgspec.json.encode({"error": {"message": message, "type": type_, "param": param, "code": code}})


class ConfigurationError(PreceptorError):
    """The configuration cannot be used. ``mistakes`` holds each mistake with its key or line."""

    def __init__(self, source: str, mistakes: Sequence[str]) -> None:
        super().__init__("; ".join(f"{source}: {mistake}" for mistake in mistakes))
        self.source = source
        self.mistakes = tuple(mistakes)


class BadRequest(PreceptorError):
    """The client's request cannot be served as it is."""

    status = 400
    type = "invalid_request_error"
    quotes = True


class NotFound(BadRequest):
    """The path or id does not exist."""

    status = 404


class ModelNotFound(NotFound):
    """No task, model or default upstream answers to that name."""

    code = "model_not_found"

    def __init__(self, model: str) -> None:
        super().__init__(
            f"The model {shown(model)!r} does not exist here: name a configured model, 'task:NAME', or set"
            " server.default_upstream to pass unknown names through.",
            param="model",
        )


class Unauthorized(BadRequest):
    """The key is missing or wrong."""

    status = 401
    code = "invalid_api_key"


class Forbidden(BadRequest):
    """The key is right and does not allow that."""

    status = 403


class MethodNotAllowed(BadRequest):
    """The path exists, the method does not."""

    status = 405


class Conflict(BadRequest):
    """The state has changed since the request was made, or a bound is reached."""

    status = 409


class UpgradeRequired(BadRequest):
    """A WebSocket was asked for. Clients go on with plain HTTP at once; after another status they try again first."""

    status = 426


class BodyTooLarge(BadRequest):
    """The body exceeds ``server.max_body_mb``."""

    status = 413


class UnsupportedCoding(BadRequest):
    """The body is compressed in a way unknown here."""

    status = 415


class RateLimited(BadRequest):
    """The key has used up what it may use for now; ``headers`` say when to come back (``retry-after``)."""

    status = 429
    type = "requests"
    code = "rate_limit_exceeded"


class Overloaded(PreceptorError):
    """The gateway is stopping, or a bounded queue is full."""

    status = 503
    type = "service_unavailable_error"


class UpstreamError(PreceptorError):
    """The upstream failed before or while it answered."""

    status = 502
    type = "upstream_error"
    code = "upstream_error"

    def __init__(
        self,
        message: str,
        *,
        sent: bool = True,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> None:
        super().__init__(message, param=param, code=code, headers=headers)
        self.sent = sent
        """``False``: the upstream has not received the request, so any request can be sent again."""


class UpstreamUnreachable(UpstreamError):
    """No connection, or one that closed before a status line."""

    code = "upstream_unreachable"


class UpstreamGarbage(UpstreamError):
    """The upstream's answer breaks the protocol."""

    code = "upstream_garbage"


class UpstreamBroken(UpstreamError):
    """The answer broke off in the middle."""

    code = "upstream_broken"


class UpstreamTooLarge(UpstreamError):
    """The answer is larger than allowed."""

    code = "upstream_too_large"


class UpstreamTimeout(UpstreamError):
    """One of the four time-outs of the upstream ran out."""

    status = 504
    code = "upstream_timeout"


class UpstreamResting(UpstreamError):
    """Too many failures in a row: the upstream is not asked until ``retry-after`` has passed."""

    status = 503
    code = "upstream_resting"


class UpstreamRefused(PreceptorError):
    """The upstream answered with an error status of its own: ``payload`` and ``headers`` are handed on as they are."""

    def __init__(self, status: int, payload: bytes, headers: Mapping[str, str]) -> None:
        super().__init__(f"the upstream answered with status {status}", headers=headers)
        self.status = status
        self.payload = payload

    def body(self) -> bytes:
        return self.payload

    def words(self) -> str:
        # The payload is in OpenAI's shape: the upstream's own words are more use than ours.
        try:
            return str(msgspec.json.decode(self.payload)["error"]["message"])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError, TypeError):
            return self.message


class StoreError(PreceptorError):
    """The database cannot be read or written now; acknowledged exchanges stay in memory and are tried again."""

    status = 503
    type = "service_unavailable_error"
    code = "store_unavailable"
