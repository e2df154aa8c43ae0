"""Every error of every route, in the shape of its API: OpenAI's, Anthropic's or Ollama's."""

import logging
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException

from gateway.api.gate import worded
from gateway.errors import BadRequest, BodyTooLarge, MethodNotAllowed, NotFound, PreceptorError, shown

log = logging.getLogger(__name__)


def on_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Map any exception to a response."""
    mapped = _mapped(request, error)
    if mapped.status == 500:
        log.error("a request failed", extra={"action": "api.bug"}, exc_info=error)
    body = worded(mapped, request.scope.get("raw_path", b""))
    return Response(body, status_code=mapped.status, media_type="application/json")


def _mapped(request: Request[Any, Any, Any], error: Exception) -> PreceptorError:
    path = shown(request.scope["path"])
    match error:
        case PreceptorError():
            return error
        case NotFoundException():
            return NotFound(f"Invalid URL ({request.method} {path})", code="unknown_url")
        case MethodNotAllowedException():
            return MethodNotAllowed(f"Not allowed to {request.method} on {path}", code="method_not_supported")
        case HTTPException(status_code=413):
            return BodyTooLarge("The body is too large.")
        case HTTPException() if error.status_code < 500:
            return BadRequest(error.detail)
        case _:
            return PreceptorError(f"internal error: {type(error).__name__}")
