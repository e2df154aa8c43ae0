"""An upstream's answer with an error status, as the client's error."""

from typing import NoReturn

from gateway.errors import UpstreamGarbage, UpstreamRefused
from gateway.formats.upstream_error import refusal_body
from gateway.upstream.base import UpstreamReply

_HANDED_ON = ("retry-after", "retry-after-ms", "x-should-retry", "x-request-id")


async def refuse(reply: UpstreamReply, upstream: str) -> NoReturn:
    """Raise ``UpstreamRefused`` for an error status, in OpenAI's shape, with the headers of interest to clients."""
    if reply.status < 400:
        raise UpstreamGarbage(f"upstream {upstream!r} answered with status {reply.status}: is base_url right?")
    raise await refusal(reply, upstream)


async def refusal(reply: UpstreamReply, upstream: str) -> UpstreamRefused:
    """Turn a reply with an error status into the client's error. Raises ``UpstreamError`` of the reading."""
    payload = await reply.read()
    headers = {name: reply.headers[name] for name in _HANDED_ON if name in reply.headers}
    return UpstreamRefused(reply.status, refusal_body(payload, reply.status, upstream), headers)
