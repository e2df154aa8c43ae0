"""``POST /v1/messages``: Anthropic's Messages API, translated to a chat and back so that tasks and rules apply."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from gateway.api.endpoint import Endpoint, Running
from gateway.errors import PreceptorError
from gateway.formats import allowed_fields
from gateway.formats.messages import MessagesRequest, open_messages
from gateway.formats.messages_reply import MessageOptions, error_body, to_message
from gateway.formats.messages_stream import MessageStream, error_event
from gateway.http_server.request_head import Header
from gateway.services import Services


class Messages(Endpoint):
    """An ASGI application for a path of Anthropic's API."""

    def __init__(self, services: Services) -> None:
        super().__init__(services, open_messages, fields=allowed_fields.MESSAGES, prefix="msg_")

    def whole(self, reply: bytes, exchange: Running) -> bytes:
        return to_message(reply, message_id=exchange.id, options=_options(exchange))

    async def events(self, events: AsyncGenerator[bytes, None], exchange: Running) -> AsyncGenerator[bytes, None]:
        stream = MessageStream(message_id=exchange.id, options=_options(exchange))
        async with aclosing(events):
            async for event in events:
                worded = stream.feed(event)
                if worded:
                    yield worded

    def headers(self, exchange: Running) -> list[Header]:
        return [(b"request-id", exchange.id.encode()), *super().headers(exchange)]

    def error(self, error: PreceptorError, exchange: Running) -> bytes:
        return error_body(error, exchange.id)

    def error_event(self, error: PreceptorError, exchange: Running) -> bytes:
        return error_event(error, exchange.id)


def _options(exchange: Running) -> MessageOptions:
    assert exchange.plan is not None and isinstance(exchange.plan.envelope, MessagesRequest)
    return exchange.plan.envelope.options
