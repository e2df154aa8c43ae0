"""An unstreamed reply, looked into and marked with the exchange's id. Grading is the optimizer's."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from msgspec import Raw

from gateway.domain import Usage, Value
from gateway.errors import BadRequest, UpstreamGarbage
from gateway.pipeline.envelope import decode_object, raw
from gateway.pipeline.usage import UsageFields, recounted


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    index: int = 0
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    usage: UsageFields | None = None


@contextmanager
def from_upstream(what: str) -> Iterator[None]:
    """Bytes read in here came from the upstream: what cannot be read raises ``UpstreamGarbage``."""
    try:
        yield
    except (BadRequest, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamGarbage(f"the upstream sent something that is not {what}") from None


_completion = msgspec.json.Decoder(_Completion)


class Completion(Value, frozen=True):
    """A whole reply: its fields as they came, and what the gateway reads of them."""

    fields: dict[str, Raw]
    text: str | None
    finish_reason: str | None
    usage: Usage

    def sealed(self, exchange_id: str, *, text: str | None = None, usage: Usage | None = None) -> bytes:
        """The reply's body under the exchange's id, with the text or the usage replaced where given.

        Raises ``UpstreamGarbage`` if what must be replaced cannot be read.
        """
        fields = {"id": raw(exchange_id), **self.fields}
        fields["id"] = raw(exchange_id)
        with from_upstream("a chat completion"):
            if text is not None:
                choices = msgspec.json.decode(fields["choices"])
                for choice in choices:
                    if choice.get("index", 0) == 0:
                        choice["message"]["content"] = text
                fields["choices"] = raw(choices)
            if usage is not None:
                fields["usage"] = raw(recounted(fields.get("usage"), usage))
        return msgspec.json.encode(fields)


def open_completion(body: bytes) -> Completion:
    """Decode a chat completion; raises ``UpstreamGarbage`` if it is none."""
    with from_upstream("a chat completion"):
        fields = decode_object(body)
        completion = _completion.decode(body)
    first = next((choice for choice in completion.choices if choice.index == 0), None)
    return Completion(
        fields=fields,
        text=first.message.content if first else None,
        finish_reason=first.finish_reason if first else None,
        usage=completion.usage.counted() if completion.usage else Usage(),
    )
