"""``POST /v1/responses``: OpenAI's Responses API, with its own event for an error in the middle of a stream."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from gateway.api.endpoint import Endpoint
from gateway.api.running import Running
from gateway.errors import PreceptorError
from gateway.formats import allowed_fields
from gateway.formats.responses import open_responses
from gateway.routing.route import route_response
from gateway.services import Services

_NUMBER = re.compile(rb'"sequence_number":\s{0,4}(\d{1,9})')


class Responses(Endpoint):
    """An ASGI application for the Responses API."""

    _route = staticmethod(route_response)

    def __init__(self, services: Services) -> None:
        super().__init__(services, open_responses, fields=allowed_fields.RESPONSES, prefix="resp_")

    async def events(self, events: AsyncGenerator[bytes, None], exchange: Running) -> AsyncGenerator[bytes, None]:
        async with aclosing(events):
            async for event in events:
                exchange.last_event = event
                yield event

    def error_event(self, error: PreceptorError, exchange: Running) -> bytes:
        return error_event(error, after=exchange.last_event)


def error_event(error: PreceptorError, *, after: bytes) -> bytes:
    """Return the last event of a broken stream, numbered on from the event before."""
    numbers = _NUMBER.findall(after)
    shape = {
        "type": "error", "code": error.code or error.type, "message": error.message, "param": error.param,
        "sequence_number": int(numbers[-1]) + 1 if numbers else 0,
    }  # fmt: skip
    return b"event: error\ndata: " + msgspec.json.encode(shape) + b"\n\n"
