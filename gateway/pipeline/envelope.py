"""A chat request, decoded only as far as the gateway must look, and sealed again with everything else untouched.

Values that nobody reads stay the bytes that the client sent (``msgspec.Raw``): unknown fields, numbers and escapes
arrive upstream as they were. Does not decide anything.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from gateway.domain import Value
from gateway.errors import BadRequest

_fields = msgspec.json.Decoder(dict[str, Raw])
_any = msgspec.json.Decoder()
_encode = msgspec.json.encode


class Envelope(Value, frozen=True):
    """A request body that has been looked into. ``fields`` maps every top-level key to its raw JSON."""

    body: bytes
    fields: dict[str, Raw]
    model: str
    messages: tuple[Raw, ...]
    stream: bool
    include_usage: bool
    """Whether the client itself asked for usage in the stream."""

    def value(self, name: str) -> Any:
        """The decoded value of a top-level field; ``None`` if it is absent. Raises as ``decoded`` does."""
        raw = self.fields.get(name)
        return None if raw is None else decoded(raw)

    def sealed(self, changes: dict[str, Raw | None]) -> bytes:
        """The body with some top-level fields set (or, for ``None``, left out) and the rest as it came."""
        fields = {**self.fields, **changes}
        return _encode({name: raw for name, raw in fields.items() if raw is not None})


def open_envelope(body: bytes) -> Envelope:
    """Decode a chat completion request; raises ``BadRequest`` in the words an OpenAI client expects."""
    fields = decode_object(body)
    model = _typed(fields, "model", str, "a string")
    if not model:
        raise BadRequest("You must provide a model parameter.", param="model")
    messages = _typed(fields, "messages", list[Raw], "an array")
    if not messages:
        raise BadRequest("'messages' must be an array of at least one message.", param="messages")
    for index, message in enumerate(messages):
        if not bytes(message).startswith(b"{"):
            raise BadRequest(f"'messages[{index}]' must be an object.", param=f"messages[{index}]")
    options = _typed(fields, "stream_options", dict[str, Any] | None, "an object")
    return Envelope(
        body=body,
        fields=fields,
        model=model,
        messages=tuple(messages),
        stream=bool(_typed(fields, "stream", bool | None, "a boolean")),
        include_usage=bool(options and options.get("include_usage")),
    )


def decode_object(body: bytes) -> dict[str, Raw]:
    """The top level of a JSON object; raises ``BadRequest`` for anything else."""
    try:
        str(body, "utf-8")  # msgspec skips over a raw value without a look at its bytes
        return _fields.decode(body)
    except msgspec.ValidationError:
        raise BadRequest("The body must be a JSON object.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"We could not parse the JSON body of your request: {error}") from None


def decoded(value: Raw) -> Any:
    """A raw value as Python's; raises ``BadRequest`` if it is nested too deep or holds a number out of range."""
    try:
        return _any.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"We could not parse the JSON body of your request: {error}") from None


def _typed(fields: dict[str, Raw], name: str, kind: Any, wanted: str) -> Any:
    raw = fields.get(name)
    try:
        return msgspec.json.decode(raw, type=kind) if raw is not None else msgspec.convert(None, kind | None)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest(f"Invalid type for '{name}': expected {wanted}.", param=name) from None


class Message(Value, frozen=True):
    """The parts of one message that injection looks at; ``fields`` keeps all of it."""

    fields: dict[str, Raw]
    role: str | None

    def content(self) -> Raw:
        return self.fields.get("content") or Raw(b"null")

    def text(self) -> str | None:
        """The message's text: a string content, or the text parts joined; ``None`` if it has no text."""
        content = decoded(self.content())
        if isinstance(content, str):
            return content
        if isinstance(content, list):
            parts = [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]
            return "\n".join(parts) if parts else None
        return None

    def only_text(self) -> bool:
        """Whether the content is a string or consists of text parts: no image, audio or file."""
        content = decoded(self.content())
        return isinstance(content, str) or (
            isinstance(content, list)
            and bool(content)
            and all(isinstance(part, dict) and part.get("type") == "text" for part in content)
        )

    def extended(self, text: str) -> Raw:
        """The message with ``text`` appended to its content, which keeps the bytes that it had."""
        content = bytes(self.content())
        addition = _encode(text)
        if content.startswith(b'"'):
            joined = content[:-1] + addition[1:]
        elif content.startswith(b"["):
            part = b'{"type":"text","text":' + addition + b"}"
            inner = content[1:-1].strip()
            joined = b"[" + inner + b"," + part + b"]" if inner else b"[" + part + b"]"
        elif content == b"null":
            joined = _encode(text.lstrip("\n"))
        else:
            joined = content  # no content that a chat has: the upstream will say so
        return Raw(_encode({**self.fields, "content": Raw(joined)}))


def open_message(raw: Raw) -> Message:
    """Look into one message. A message of odd shape has role ``None``: it is the upstream's to judge."""
    fields = decode_object(bytes(raw))
    role = decoded(fields["role"]) if "role" in fields else None
    return Message(fields=fields, role=role if isinstance(role, str) else None)


def system_text(messages: Sequence[Raw]) -> str | None:
    """The text of the leading system or developer message, if there is one."""
    first = open_message(messages[0])
    return first.text() if first.role in ("system", "developer") else None


def raw(value: Any) -> Raw:
    """A value as raw JSON."""
    return Raw(_encode(value))
