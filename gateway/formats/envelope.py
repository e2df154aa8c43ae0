"""A request, decoded as little as possible, and sealed again with all other bytes untouched.

Unread values keep the client's bytes (``msgspec.Raw``): unknown fields, numbers and escapes arrive upstream unchanged.
Each endpoint has its own kind of envelope with its own reader of replies. Envelopes of ``chat`` and ``responses`` are
conversations: rules can be injected into them. Decides nothing.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import msgspec
from msgspec import Raw

from gateway.domain import Usage, Value
from gateway.errors import BadRequest
from gateway.formats.reply import Reader, WholeReply
from gateway.formats.tags import TagFilter
from gateway.formats.transcript import Transcript

Changes = dict[str, Raw | None]
"""Top-level fields to set in a body or, for ``None``, to leave out."""

_fields = msgspec.json.Decoder(dict[str, Raw])
_any = msgspec.json.Decoder()
_encode = msgspec.json.encode
_NULL = Raw(b"null")
_BYTES_OF_TOKEN = 4


class Envelope(Value, frozen=True, kw_only=True):
    """A request body and its top level. ``fields`` maps every top-level key to its raw JSON."""

    path: ClassVar[str]
    """The endpoint, below ``/v1``."""
    closing: ClassVar[bytes] = b""
    """The event that ends a stream of replies; empty where a stream needs none."""
    body_headers: ClassVar[frozenset[bytes]] = frozenset()
    """Request headers that say how the body is read: a hidden pass needs them, too."""

    body: bytes
    fields: dict[str, Raw]
    model: str
    stream: bool = False

    def value(self, name: str) -> Any:
        """Return the decoded value of a top-level field; ``None`` if it is absent. Raises ``BadRequest``."""
        raw = self.fields.get(name)
        return None if raw is None else decoded(raw)

    def sealed(self, changes: Changes) -> bytes:
        """Return the body with some top-level fields changed and the rest as it came."""
        fields = {**self.fields, **changes}
        if None in changes.values():
            fields = {name: raw for name, raw in fields.items() if raw is not None}
        return _encode(fields)

    def recorded(self, body: bytes) -> bytes:
        """Return a body of this kind in the wording of the record."""
        return body

    def naming(self) -> Mapping[str, Raw]:
        """Return the fields that may name the end user."""
        return self.fields

    def usage_changes(self) -> Changes:
        """Return the changes that make the upstream count the tokens of a stream."""
        return {}

    def open_reply(self, body: bytes) -> WholeReply:
        """Decode an unstreamed reply. Raises ``UpstreamGarbage`` if it is none."""
        raise NotImplementedError

    def replayed(self, body: bytes) -> Sequence[bytes]:
        """Return the events that bring a whole reply. Raises ``UpstreamGarbage`` if it is none."""
        raise NotImplementedError

    def reader(self, transcript: Transcript, exchange_id: str, *, untouched: bool, tags: TagFilter | None) -> Reader:
        """Return a reader for one pass of a streamed reply. ``untouched`` keeps unrequested events."""
        raise NotImplementedError


Obstacle = Literal["tools", "forced_function", "choices", "no_question", "conversation", "background"]
"""A reason why a form may not fit a request.

``tools``: the reply may call tools. ``forced_function``: the reply calls a certain function, as structured output.
``choices``: several replies. ``no_question``: the last turn is not a plain text of a user. ``conversation``: the
upstream adds every call to a stored conversation. ``background``: the caller fetches the reply later.
"""


class Conversation(Envelope, frozen=True, kw_only=True):
    """A request with instructions and a question: it can belong to a task, and rules can be injected."""

    content_fields: ClassVar[tuple[str, ...]]
    """Fields with the instructions and the turns."""
    reply_only: ClassVar[tuple[str, ...]]
    """Fields that shape, end, measure or file the caller's reply; a hidden pass is sent without them."""
    limits: ClassVar[tuple[str, ...]]
    """Fields that bound the output tokens."""

    def system_text(self) -> str | None:
        """Return the text of the instructions, if there are any."""
        raise NotImplementedError

    def opening(self) -> Raw | bytes:
        """Return the first message of a user in this conversation, as it came; where no user spoke, the first one."""
        raise NotImplementedError

    def question(self) -> str | None:
        """Return the text of the last turn; ``None`` unless it is a user's and nothing but text."""
        raise NotImplementedError

    def obstacles(self) -> Sequence[Obstacle]:
        """Return the reasons why a form may not fit; none for a plain question with a single answer."""
        raise NotImplementedError

    def supports_tags(self) -> bool:
        """Decide whether the reply may hold working between tags: it has no format, stop sequence or measure."""
        raise NotImplementedError

    def with_system(self, text: str) -> Changes:
        """Append ``text`` to the instructions, which keep their bytes. An empty text changes nothing."""
        raise NotImplementedError

    def with_question(self, text: str) -> Self:
        """Append ``text`` to the question, or to the instructions where the upstream stores the question."""
        raise NotImplementedError

    def with_turns(self, turns: Sequence[tuple[str, str]]) -> Self:
        """Insert questions and answers between the instructions and the conversation.

        They join the instructions as text where the upstream stores the turns.
        """
        raise NotImplementedError

    def structured(self, name: str, schema: Mapping[str, Any]) -> Changes:
        """Return the changes that ask for a JSON object of a schema."""
        raise NotImplementedError

    def label_reply(self, label: str) -> str | None:
        """Return the text of a reply with a label and nothing else; ``None`` where the request asks for more.

        The text is the label, or the JSON object around it if the caller's schema lists it.
        """
        reply, limit = self._labelled(label), next(filter(None, map(self.value, self.limits)), None)
        if reply is None or (isinstance(limit, int) and limit * _BYTES_OF_TOKEN < len(reply.encode())):
            return None
        return reply

    def _labelled(self, label: str) -> str | None:
        """Return the text of a reply with a label, whatever its length."""
        raise NotImplementedError

    def written(self, hidden: WholeReply, exchange_id: str, text: str, usage: Usage) -> Sequence[bytes]:
        """Return a reply with this text behind a hidden answer: one body, or events without the closing event."""
        raise NotImplementedError

    def content(self) -> Changes:
        """Return instructions and turns as changes to the caller's request."""
        return {name: self.fields[name] for name in self.content_fields if name in self.fields}

    def hidden(self, tokens: int) -> Changes:
        """Return the changes of a hidden pass: plain text, a limit of its own, and no trace at the upstream."""
        limit = next((name for name in self.limits if self.value(name) is not None), self.limits[0])
        return {**dict.fromkeys(self.reply_only), limit: raw(tokens)}


def decode_object(body: bytes, decoder: msgspec.json.Decoder[dict[str, Raw]] = _fields) -> dict[str, Raw]:
    """Return the top level of a JSON object; raises ``BadRequest`` for anything else."""
    try:
        str(body, "utf-8")  # msgspec skips over a raw value without a look at its bytes
        return decoder.decode(body)
    except msgspec.ValidationError:
        raise BadRequest("The body must be a JSON object.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"We could not parse the JSON body of your request: {error}") from None


def decoded(value: Raw) -> Any:
    """Decode a raw value; raises ``BadRequest`` if it is nested too deep or holds a number out of range."""
    try:
        return _any.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"We could not parse the JSON body of your request: {error}") from None


@functools.cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def typed(fields: dict[str, Raw], name: str, kind: Any, wanted: str) -> Any:
    """Decode a field as a type; absent is ``null``. Raises ``BadRequest`` with ``wanted``, the type in words."""
    return _typed(fields.get(name, _NULL), name, _decoder(kind), wanted)


def _typed(given: Raw, name: str, decoder: msgspec.json.Decoder[Any], wanted: str) -> Any:
    try:
        return decoder.decode(given)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest(f"Invalid type for '{name}': expected {wanted}.", param=name) from None


class Field:
    """An optional field of every request of a kind: ``typed`` with its decoder at hand. Called with fields."""

    def __init__(self, name: str, kind: Any, wanted: str) -> None:
        self._name = name
        self._wanted = wanted
        self._decoder = msgspec.json.Decoder(kind)

    def __call__(self, fields: dict[str, Raw]) -> Any:
        """Return the field's value; ``None`` if it is absent. Raises ``BadRequest``."""
        given = fields.get(self._name)
        return None if given is None else _typed(given, self._name, self._decoder, self._wanted)


_model = Field("model", str | None, "a string")
_stream = Field("stream", bool | None, "a boolean")


def model_of(fields: dict[str, Raw]) -> str:
    """Return the model of a request. Raises ``BadRequest``."""
    model: str | None = _model(fields)
    if not model:
        raise no_model()
    return model


def no_model() -> BadRequest:
    """Return the error for a request without a model."""
    return BadRequest("You must provide a model parameter.", param="model")


def stream_of(fields: dict[str, Raw]) -> bool:
    """Decide whether a request wants a stream. Raises ``BadRequest``."""
    return bool(_stream(fields))


def raw(value: Any) -> Raw:
    """Encode a value as raw JSON."""
    return Raw(_encode(value))


def extended(content: Raw | None, text: str, *, part: str) -> Raw:
    """Append ``text`` to a content (a string, a list of parts, or null), which keeps its bytes.

    ``part`` is the type of a text part in a list. Any other value stays as it came: the upstream judges it.
    """
    given = bytes(content or b"null")
    addition = _encode(text)
    if given.startswith(b'"'):
        return Raw(given[:-1] + addition[1:])
    if given.startswith(b"["):
        new = b'{"type":' + _encode(part) + b',"text":' + addition + b"}"
        inner = given[1:-1].strip()
        return Raw(b"[" + inner + b"," + new + b"]" if inner else b"[" + new + b"]")
    return Raw(_encode(text.lstrip("\n"))) if given == b"null" else Raw(given)
