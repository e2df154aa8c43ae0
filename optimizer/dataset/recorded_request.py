"""A recorded request, decoded once: turns, tools, tenant, sampling settings and wanted form, from the body of any API.

Reads the bodies of chats, of responses, of completions and of Anthropic's messages. Never raises: an unreadable body is
an empty request, and odd parts are left out.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import msgspec

from gateway.domain import ToolCall, Value
from gateway.errors import BadRequest
from gateway.formats.chat import open_chat, text_of
from gateway.formats.responses import open_responses
from gateway.routing.conversation import conversation_key, tenant_digest

Api = Literal["chat", "responses", "completions", "unknown"]
"""The shape of a body; a request to ``/messages`` is recorded as a chat."""

OWN_ROLES = ("assistant", "model")
"""Roles of the model's own turns."""
INSTRUCTION_ROLES = ("system", "developer")
_TEXT = ("text", "input_text", "output_text")
_LENGTH_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")


class RecordedTurn(Value, frozen=True):
    """A message of a conversation."""

    role: str
    text: str
    attachments: str = ""
    """SHA-256 over the parts without a text (images, files), 64 hex digits; empty without such parts."""
    tool_calls: tuple[ToolCall, ...] = ()

    @property
    def content(self) -> str:
        """The text, and the digest of the attachments below it."""
        return f"{self.text}\n{self.attachments}" if self.attachments else self.text


class OfferedTool(Value, frozen=True):
    """A tool that a request offers to the model."""

    name: str
    description: str = ""
    parameters: str = ""
    """JSON schema of the arguments, as JSON text."""


class SamplingSettings(Value, frozen=True):
    """The settings that steer how an answer is drawn; ``None`` for a setting left to the upstream."""

    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    max_tokens: int | None = None

    @property
    def is_deterministic(self) -> bool:
        """True if an equal request has an equal answer."""
        return self.temperature == 0 or self.seed is not None


class RecordedRequest(Value, frozen=True, dict=True):
    """A request as its client meant it."""

    api: Api
    body: Mapping[str, Any]
    """The decoded body; empty for an unreadable request."""
    turns: tuple[RecordedTurn, ...]
    """Instructions first, then the conversation in order."""
    tools: tuple[OfferedTool, ...]
    sampling: SamplingSettings
    wants_json: bool
    tenant: str | None
    """16 hex digits for the end user behind the client; ``None`` if the client names none."""
    conversation_id: str | None
    """The client's own ``metadata.conversation_id``."""
    server_conversation: str | None
    """The conversation that the upstream keeps (``conversation``), as JSON text."""

    @cached_property
    def instructions(self) -> str:
        """The text of all system and developer turns."""
        return "\n".join(turn.text for turn in self.turns if turn.role in INSTRUCTION_ROLES)

    @cached_property
    def transcript(self) -> str:
        """The conversation without its instructions: a lone turn as it is, several as ``(role) text`` lines."""
        rest = [turn for turn in self.turns if turn.role not in INSTRUCTION_ROLES]
        if len(rest) == 1:
            return rest[0].text
        return "\n".join(f"({turn.role}) {_with_calls(turn)}" for turn in rest)

    @property
    def question(self) -> str:
        """The last turn, case and white space folded, if a user said it; else empty."""
        return folded(self.turns[-1].content) if self.turns and self.turns[-1].role == "user" else ""

    @property
    def first_question(self) -> str:
        """The text of the user's first turn."""
        return next((turn.text for turn in self.turns if turn.role == "user"), "")

    @property
    def tool_names(self) -> tuple[str, ...]:
        """Names of the offered tools, sorted."""
        return tuple(sorted({tool.name for tool in self.tools}))


def read_request(request: bytes) -> RecordedRequest:
    """Return a recorded request decoded; an unreadable request is empty."""
    body = _object_of(request)
    given = _named(body, "conversation_id")
    return RecordedRequest(
        api=_api(body),
        body=body,
        turns=tuple(_turns(body)),
        tools=tuple(_tools(body)),
        sampling=_sampling(body),
        wants_json=_wants_json(body),
        tenant=_tenant(body),
        conversation_id=given,
        server_conversation=_json(body["conversation"]) if body.get("conversation") else None,
    )


def conversation_of(request: bytes) -> str:
    """Return 16 hex digits, equal for all turns of a conversation, from the client's own key or else the beginning.

    The client's key is ``metadata.conversation_id``, or the key of ``gateway.routing.conversation``. Strangers with the
    same first words count as one conversation.
    """
    given = _named(_object_of(request), "conversation_id")
    return digest("id", given) if given else digest("key", _key(request))


def folded(text: str) -> str:
    """Return a text in lower case, with every run of white space made one space."""
    return " ".join(text.split()).casefold()


def digest(kind: str, value: str | bytes) -> str:
    """Return 16 hex digits of SHA-256 over a value; equal values of other kinds have other digests."""
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return hashlib.sha256(kind.encode() + b"\n" + data).hexdigest()[:16]


def _object_of(request: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(request, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def _api(body: Mapping[str, Any]) -> Api:
    if "messages" in body:
        return "chat"
    if "input" in body:
        return "responses"
    return "completions" if "prompt" in body else "unknown"


def _turns(body: Mapping[str, Any]) -> Iterator[RecordedTurn]:
    for name in ("instructions", "system"):
        text, attachments = _content(body.get(name))
        if text:
            yield RecordedTurn(role="system", text=text, attachments=attachments)
    for name in ("messages", "input", "prompt"):
        given = body.get(name)
        if isinstance(given, str):
            yield RecordedTurn(role="user", text=given)
        elif isinstance(given, list):
            yield from _messages(given)


def _messages(given: Sequence[Any]) -> Iterator[RecordedTurn]:
    for message in given:
        if not isinstance(message, dict):
            continue
        role, kind = message.get("role"), message.get("type")
        if isinstance(role, str):
            text, attachments = _content(message.get("content"))
            calls = message.get("tool_calls")
            called = tuple(_calls(calls)) if isinstance(calls, list) else ()
            yield RecordedTurn(role=role, text=text, attachments=attachments, tool_calls=called)
        elif kind == "function_call_output":
            text, attachments = _content(message.get("output"))
            yield RecordedTurn(role="tool", text=text, attachments=attachments)
        elif kind == "function_call":
            yield RecordedTurn(role="assistant", text="", tool_calls=tuple(_calls([message])))


def _content(content: Any) -> tuple[str, str]:
    """Return the text of a content, and the digest of its other parts."""
    text = text_of(content, _TEXT) or ""
    if isinstance(content, list):
        others = [part for part in content if not (isinstance(part, dict) and isinstance(part.get("text"), str))]
        if others:
            return text, hashlib.sha256(_json(others).encode("utf-8", "surrogatepass")).hexdigest()
    return text, ""


def _calls(given: Sequence[Any]) -> Iterator[ToolCall]:
    for call in given:
        function = call.get("function", call) if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            arguments = function.get("arguments", "")
            yield ToolCall(
                name=function["name"], arguments=arguments if isinstance(arguments, str) else _json(arguments)
            )


def _tools(body: Mapping[str, Any]) -> Iterator[OfferedTool]:
    for kind in ("tools", "functions"):
        offered = body.get(kind)
        for tool in offered if isinstance(offered, list) else ():
            if not isinstance(tool, dict):
                continue
            inner = tool.get("function")
            function = inner if isinstance(inner, dict) else tool
            name, described = function.get("name", tool.get("type")), function.get("description")
            parameters = function.get("parameters", function.get("input_schema"))
            if isinstance(name, str) and name:
                yield OfferedTool(
                    name=name,
                    description=described if isinstance(described, str) else "",
                    parameters=_json(parameters) if isinstance(parameters, dict) else "",
                )


def _sampling(body: Mapping[str, Any]) -> SamplingSettings:
    return SamplingSettings(
        temperature=_number(body.get("temperature")),
        top_p=_number(body.get("top_p")),
        seed=_count(body.get("seed")),
        max_tokens=next((limit for name in _LENGTH_LIMITS if (limit := _count(body.get(name))) is not None), None),
    )


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _wants_json(body: Mapping[str, Any]) -> bool:
    text = body.get("text")
    wanted = body.get("response_format", text.get("format") if isinstance(text, dict) else None)
    return isinstance(wanted, dict) and wanted.get("type") in ("json_object", "json_schema")


def _tenant(body: Mapping[str, Any]) -> str | None:
    return tenant_digest([body.get("safety_identifier"), body.get("user"), _named(body, "user_id")])


def _named(body: Mapping[str, Any], name: str) -> str | None:
    metadata = body.get("metadata")
    value = metadata.get(name) if isinstance(metadata, dict) else None
    return value if isinstance(value, str) and value else None


def _key(request: bytes) -> bytes:
    """Return the key by which the gateway pins a conversation; the whole request if it is none."""
    for opened in (open_chat, open_responses):
        try:
            return conversation_key(opened(request))
        except BadRequest:
            continue
    return request


def _with_calls(turn: RecordedTurn) -> str:
    calls = " ".join(f"{call.name}({call.arguments})" for call in turn.tool_calls)
    return f"{turn.text} {calls}".strip()


def _json(value: Any) -> str:
    """Return a decoded value as JSON text; one nested too deep for that as an empty text."""
    try:
        return msgspec.json.encode(value).decode()
    except (RecursionError, UnicodeError):
        return ""
