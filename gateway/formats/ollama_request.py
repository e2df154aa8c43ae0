"""Ollama's own API on its way in: its requests become a chat, a completion or a request for embeddings. Pure.

So tasks, rules and forms apply to them as to any chat. Options with a name of OpenAI's get that name, the rest stays
in ``options``: an Ollama upstream reads it, others ignore it or refuse it once (``upstream.quirks``).
``ollama_reply`` and ``ollama_stream`` translate the reply.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec
from msgspec import Raw

from gateway.domain import Value
from gateway.errors import BadRequest
from gateway.formats.chat import ChatRequest, open_chat
from gateway.formats.envelope import decode_object, decoded, model_of, typed
from gateway.formats.field_names import request_fields
from gateway.formats.ollama_turns import NativeTurn, chat_messages, user_message
from gateway.formats.plain import EmbeddingsRequest, TextRequest, open_embeddings, open_text

Names = Callable[[str], str]
"""Returns the gateway's name of a model for the client's: ``small`` for ``small:latest``."""
Handling = Literal["passed", "translated", "refused", "ignored"]

_SHARED: Mapping[str, Handling] = {
    "model": "passed",
    "stream": "translated",  # a request without it wants a stream
    "options": "translated",
    "format": "translated",  # response_format
    "think": "translated",  # a level is a reasoning_effort
    "keep_alive": "passed",
    "logprobs": "passed",
    "top_logprobs": "passed",
    "user": "passed",
    "metadata": "passed",
}
FIELDS: Mapping[str, Mapping[str, Handling]] = {
    "/api/chat": {**_SHARED, "messages": "translated", "tools": "passed", "tool_choice": "passed"},
    "/api/generate": {
        **_SHARED,
        "prompt": "translated",
        "system": "translated",
        "images": "translated",
        "suffix": "passed",  # with it, or with raw, the request is a completion
        "raw": "translated",
        "template": "refused",
        "context": "refused",
    },
    "/api/embed": {
        **dict.fromkeys(("model", "input", "dimensions", "truncate", "keep_alive", "user"), "passed"),
        "options": "passed",
    },
}  # fmt: skip
"""The handling of each field. Any other field is ignored, as Ollama does."""

_NAMED: Mapping[str, str] = {
    "temperature": "temperature", "top_p": "top_p", "seed": "seed", "stop": "stop", "num_predict": "max_tokens",
    "presence_penalty": "presence_penalty", "frequency_penalty": "frequency_penalty",
    # Not OpenAI's, but vLLM, llama.cpp and Ollama know them.
    "top_k": "top_k", "min_p": "min_p", "typical_p": "typical_p", "repeat_penalty": "repeat_penalty",
}  # fmt: skip
"""Options with a field of their own in a chat."""
_ADVICE: Mapping[str, str] = {
    "template": "the upstream has the model's own",
    "context": "nothing is kept here: send the turns to /api/chat",
}
_UNSET = (b"null", b'""', b"[]")
_AT_ONCE = frozenset({"0", "0s", "0m", "0h", "0ms"})


class NativeShape(Value, frozen=True):
    """The parts of a request that shape its reply."""

    model: str
    """The model as the client named it."""
    api: Literal["chat", "generate"] = "chat"
    thinking: bool = True
    """Whether the reply shows the model's reasoning."""


class NativeChat(ChatRequest, frozen=True, kw_only=True):
    """A request of ``/api/chat`` or ``/api/generate`` as a chat. A streamed one asks for its usage."""

    shape: NativeShape


class NativeText(TextRequest, frozen=True, kw_only=True):
    """A request of ``/api/generate`` without the chat template, as a completion."""

    shape: NativeShape


def open_native_chat(body: bytes, names: Names) -> NativeChat:
    """Translate a request of ``/api/chat``. Raises ``BadRequest``."""
    fields = _opened(body, "/api/chat")
    turns = typed(fields, "messages", list[NativeTurn] | None, "an array of messages with a role and a content") or []
    tools = _kept(fields, "tools", "tool_choice")
    return _chat(fields, names, "chat", {"messages": chat_messages(turns), **tools})


def open_generate(body: bytes, names: Names) -> NativeChat | NativeText:
    """Translate a request of ``/api/generate``. Raises ``BadRequest``."""
    fields = _opened(body, "/api/generate")
    prompt: str = typed(fields, "prompt", str | None, "a string") or ""
    images: list[str] = typed(fields, "images", list[str] | None, "an array of images in base64") or []
    if typed(fields, "raw", bool | None, "a boolean") or "suffix" in fields:
        if images:
            raise BadRequest("Images need the chat template: leave out 'raw' and 'suffix'.", param="images")
        return _text(fields, names, prompt)
    system: str | None = typed(fields, "system", str | None, "a string")
    leading = [{"role": "system", "content": system}] if system else []
    return _chat(fields, names, "generate", {"messages": [*leading, user_message(prompt, images)]})


def open_embed(body: bytes, names: Names, *, content: Literal["input", "prompt"] = "input") -> EmbeddingsRequest:
    """Translate a request of ``/api/embed``, or with a ``prompt`` of the older ``/api/embeddings``."""
    fields = _opened(body, "/api/embed")
    passed = {name: value for name, value in fields.items() if name in FIELDS["/api/embed"] and name != "input"}
    given = {**passed, "input": fields.get(content, Raw(b'""')), "model": names(model_of(fields))}
    return open_embeddings(msgspec.json.encode(given))


def loading(body: bytes, content: Literal["messages", "prompt"]) -> Literal["load", "unload"] | None:
    """Return the reason to end of a request without content: its client only wants the model in memory, or out of it.

    ``None`` for a request that a model answers. Raises ``BadRequest``.
    """
    fields = _present(decode_object(body))
    if any(name in fields for name in (content, "suffix", "images")):
        return None
    keep = decoded(fields["keep_alive"]) if "keep_alive" in fields else None
    return "unload" if keep == 0 or (isinstance(keep, str) and keep in _AT_ONCE) else "load"


def _present(fields: Mapping[str, Raw]) -> dict[str, Raw]:
    return {name: value for name, value in fields.items() if bytes(value) not in _UNSET}


def _opened(body: bytes, path: str) -> dict[str, Raw]:
    """Return the fields with a value. Raises ``BadRequest`` for a refused field."""
    fields = _present(request_fields(body))
    for name in fields:
        if FIELDS[path].get(name) == "refused":
            raise BadRequest(f"'{name}' is not supported here: {_ADVICE[name]}.", param=name)
    return fields


def _chat(
    fields: dict[str, Raw], names: Names, api: Literal["chat", "generate"], content: Mapping[str, Any]
) -> NativeChat:
    shape = NativeShape(model=model_of(fields), api=api, thinking=bytes(fields.get("think", b"")) != b"false")
    measures = _kept(fields, "logprobs", "top_logprobs")
    chat = {**_common(fields, names), **content, **_format(fields), **_thinking(fields), **measures}
    return NativeChat(**msgspec.structs.asdict(open_chat(msgspec.json.encode(chat))), shape=shape)


def _text(fields: dict[str, Raw], names: Names, prompt: str) -> NativeText:
    shape = NativeShape(model=model_of(fields), api="generate")
    # Without the template is how completions are served anyway; only beside a suffix it must be said.
    more = _kept(fields, "suffix", "raw") if "suffix" in fields else {}
    text = {**_common(fields, names), **more, "prompt": prompt}
    return NativeText(**msgspec.structs.asdict(open_text(msgspec.json.encode(text))), shape=shape)


def _kept(fields: Mapping[str, Raw], *names: str) -> dict[str, Raw]:
    return {name: fields[name] for name in names if name in fields}


def _common(fields: dict[str, Raw], names: Names) -> dict[str, Any]:
    """Return the fields that a chat and a completion share."""
    streamed: bool | None = typed(fields, "stream", bool | None, "a boolean")
    stream = streamed is not False
    return {
        "model": names(model_of(fields)),
        "stream": stream,
        **({"stream_options": {"include_usage": True}} if stream else {}),
        **_options(typed(fields, "options", dict[str, Raw] | None, "an object") or {}),
        **_kept(fields, "keep_alive", "user", "metadata"),
    }


def _options(options: Mapping[str, Raw]) -> dict[str, Any]:
    """Translate a model's options. A limit below zero is none; options of an unknown name stay together."""
    given = {name: value for name, value in options.items() if bytes(value) != b"null"}
    if bytes(given.get("num_predict", b"")).startswith(b"-"):
        del given["num_predict"]
    named: dict[str, Any] = {_NAMED[name]: value for name, value in given.items() if name in _NAMED}
    rest = {name: value for name, value in given.items() if name not in _NAMED}
    return {**named, "options": rest} if rest else named


def _format(fields: dict[str, Raw]) -> dict[str, Any]:
    given = decoded(fields["format"]) if "format" in fields else None
    if given is None:
        return {}
    if given == "json":
        return {"response_format": {"type": "json_object"}}
    if isinstance(given, dict):
        # Ollama holds the reply to any schema; OpenAI's strict mode takes only some.
        return {
            "response_format": {"type": "json_schema", "json_schema": {"name": "reply", "schema": fields["format"]}}
        }
    raise BadRequest("'format' must be 'json' or a JSON schema.", param="format")


def _thinking(fields: dict[str, Raw]) -> dict[str, Any]:
    think: bool | str | None = typed(fields, "think", bool | str | None, "a boolean or a level")
    if think is None:
        return {}
    return {"reasoning_effort": think} if isinstance(think, str) else {"think": think}
