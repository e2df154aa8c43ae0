"""OpenAI's requests in the shape of Ollama's own API. Pure: sends nothing, reads no reply.

Chat goes to ``/api/chat``, completions to ``/api/generate``, embeddings to ``/api/embed``. Unset fields stay unset:
then the upstream's settings hold, then the model's own defaults. Of the fields unknown to Ollama, those that would
change the meaning of a reply (``n`` above 1, ``logit_bias``) are refused, the others ignored; ``FIELDS`` lists them.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw

from gateway.domain import Value
from gateway.errors import BadRequest
from gateway.formats.envelope import decode_object, decoded, typed
from gateway.settings import OllamaSettings
from gateway.upstream.base import Call
from gateway.upstream.ollama_messages import native_messages

Fate = Literal["passed", "translated", "refused", "ignored"]

_NUMBERS = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "min_p", "typical_p", "repeat_penalty")
_INTEGERS = ("max_tokens", "max_completion_tokens", "seed", "top_k", "repeat_last_n", "num_ctx")
_OPTIONS: Mapping[str, tuple[type, str]] = {
    **dict.fromkeys(_NUMBERS, (float, "a number")),
    **dict.fromkeys(_INTEGERS, (int, "an integer")),
}
"""Fields that are model options to Ollama, with their types: Ollama answers a wrong type with a 500."""
_RENAMED: Mapping[str, str] = {"max_tokens": "num_predict", "max_completion_tokens": "num_predict"}

_REFUSED: Mapping[str, tuple[Any, str]] = {
    # field: its harmless value, advice for the caller
    "n": (1, "ask for one reply at a time"),
    "best_of": (1, "ask for one reply at a time"),
    "echo": (False, "put the prompt before the reply yourself"),
    "logprobs": (None, "use chat completions"),
    "logit_bias": ({}, "leave it out"),
    "audio": (None, "ask for text"),
    "functions": ([], "use 'tools'"),
    "function_call": ("none", "use 'tool_choice'"),
    "web_search_options": (None, "leave it out"),
}

_EFFORTS: Mapping[str, bool | str] = {"none": False, "minimal": "low", "xhigh": "high"}
"""OpenAI's efforts in Ollama's terms, as far as the names differ."""

_SHARED: Mapping[str, Fate] = {
    "model": "passed",
    "stream": "passed",
    "stream_options": "translated",
    "stop": "translated",
    **dict.fromkeys(_OPTIONS, "translated"),
    "options": "translated",
    "keep_alive": "passed",
    "think": "passed",
    "n": "refused",
    "logit_bias": "refused",
    "user": "ignored",
}

FIELDS: Mapping[str, Mapping[str, Fate]] = {
    "/chat/completions": {
        **_SHARED,
        "messages": "translated",
        "tools": "passed",
        "tool_choice": "translated",
        "response_format": "translated",
        "reasoning_effort": "translated",
        "reasoning": "translated",
        "logprobs": "passed",
        "top_logprobs": "passed",
        **dict.fromkeys(("audio", "functions", "function_call", "web_search_options"), "refused"),
        **dict.fromkeys(
            (
                "metadata", "modalities", "moderation", "parallel_tool_calls", "prediction", "prompt_cache_key",
                "prompt_cache_options", "prompt_cache_retention", "safety_identifier", "service_tier", "store",
                "verbosity",
            ),
            "ignored",
        ),
    },
    "/completions": {
        **_SHARED,
        "prompt": "translated",
        "suffix": "passed",
        "raw": "passed",
        **dict.fromkeys(("best_of", "echo", "logprobs"), "refused"),
    },
    "/embeddings": {
        **dict.fromkeys(("model", "input", "dimensions", "keep_alive", "truncate"), "passed"),
        "encoding_format": "translated",
        "options": "translated",
        "user": "ignored",
    },
}  # fmt: skip
"""The fate of each request field, per endpoint. ``translated``: it reaches Ollama, or shapes the reply, in another
place or form. ``refused``: the caller gets a 400. ``ignored``: the reply is right without it, as without a field that
is not listed."""


class Asked(Value, frozen=True):
    """A request to Ollama, and the form of its reply."""

    path: str
    body: bytes
    stream: bool = False
    include_usage: bool = False
    base64: bool = False
    """Embeddings as base64 of little-endian 32-bit floats."""
    dimensions: int | None = None
    """Largest length of an embedding."""


def chat_request(call: Call, settings: OllamaSettings) -> Asked:
    """Translate a chat for ``/api/chat``. Raises ``BadRequest``."""
    fields = _opened(call)
    native = {
        "model": call.model,
        "messages": native_messages(fields),
        "tools": _tools(fields),
        "format": _format(fields),
        "think": _think(fields, settings),
        "logprobs": _checked(fields, "logprobs", bool, "a boolean"),
        "top_logprobs": _checked(fields, "top_logprobs", int, "an integer"),
        **_tuned(fields, settings),
    }
    return _streamable("/api/chat", native, fields, stream=call.stream)


def completion_request(call: Call, settings: OllamaSettings) -> Asked:
    """Translate a completion for ``/api/generate``. Raises ``BadRequest``.

    The model continues the prompt as it stands, without its chat template, as other servers do. Only filling in before
    a ``suffix`` needs the template. A request's own ``raw`` overrides this.
    """
    fields = _opened(call)
    suffix: str | None = typed(fields, "suffix", str | None, "a string")
    native = {
        "model": call.model,
        "prompt": _prompt(fields),
        "suffix": suffix or None,
        "raw": fields.get("raw", not suffix),
        "think": fields.get("think"),
        **_tuned(fields, settings),
    }
    return _streamable("/api/generate", native, fields, stream=call.stream)


def embedding_request(call: Call, settings: OllamaSettings) -> Asked:
    """Translate texts for ``/api/embed``. Raises ``BadRequest``."""
    fields = _opened(call)
    _required(fields, "input", str | list[str], "a string or an array of strings (Ollama takes no tokens)")
    encoding: str | None = typed(fields, "encoding_format", Literal["float", "base64"] | None, "'float' or 'base64'")
    dimensions: int | None = typed(fields, "dimensions", _Dimensions | None, "an integer above 0")
    native = {
        "model": call.model,
        "input": fields["input"],
        "dimensions": dimensions,
        "truncate": fields.get("truncate"),
        **_tuned(fields, settings),
    }
    return Asked(path="/api/embed", body=_encoded(native), base64=encoding == "base64", dimensions=dimensions)


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Named(msgspec.Struct):
    name: str


class _Tool(msgspec.Struct):
    """A tool, in ``tools`` or ``tool_choice``."""

    type: str = ""
    function: _Named | None = None


class _Allowed(msgspec.Struct):
    tools: list[_Tool] = []


class _ToolChoice(_Tool):
    allowed_tools: _Allowed | None = None


class _Schema(msgspec.Struct):
    schema: dict[str, Raw] | None = None


class _ResponseFormat(msgspec.Struct):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: _Schema | None = None


class _Reasoning(msgspec.Struct):
    effort: str | None = None


_Dimensions = Annotated[int, Meta(ge=1)]


def _opened(call: Call) -> dict[str, Raw]:
    """Return the fields with a value. Raises ``BadRequest`` for a refused field."""
    fields = {name: value for name, value in decode_object(call.body).items() if bytes(value) != b"null"}
    for name, value in fields.items():
        if FIELDS[call.path].get(name) == "refused":
            harmless, instead = _REFUSED[name]
            if decoded(value) != harmless:
                raise BadRequest(f"Ollama cannot serve '{name}': {instead}.", param=name)
    return fields


def _required(fields: dict[str, Raw], name: str, kind: Any, wanted: str) -> Any:
    if name not in fields:
        raise BadRequest(f"Missing required parameter: '{name}'.", param=name)
    return typed(fields, name, kind, wanted)


def _checked(fields: dict[str, Raw], name: str, kind: Any, wanted: str) -> Raw | None:
    """Check the type of a field and return it unchanged."""
    typed(fields, name, kind | None, wanted)
    return fields.get(name)


def _encoded(native: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode({name: value for name, value in native.items() if value is not None})


def _streamable(path: str, native: Mapping[str, Any], fields: dict[str, Raw], *, stream: bool) -> Asked:
    options: _StreamOptions | None = typed(fields, "stream_options", _StreamOptions | None, "an object")
    return Asked(
        path=path,
        body=_encoded({**native, "stream": stream}),
        stream=stream,
        include_usage=options is not None and bool(options.include_usage),
    )


def _tuned(fields: dict[str, Raw], settings: OllamaSettings) -> dict[str, Any]:
    """Return options and ``keep_alive``: the request's own, then the upstream's settings."""
    options: dict[str, Any] = dict(settings.options)
    for name, (kind, wanted) in _OPTIONS.items():
        value = _checked(fields, name, kind, wanted)
        if value is not None:
            options[_RENAMED.get(name, name)] = value
    stop: str | list[str] | None = typed(fields, "stop", str | list[str] | None, "a string or an array of strings")
    if stop is not None:
        options["stop"] = [stop] if isinstance(stop, str) else stop
    options.update(typed(fields, "options", dict[str, Raw] | None, "an object") or {})
    return {"options": options or None, "keep_alive": fields.get("keep_alive", settings.keep_alive)}


def _tools(fields: dict[str, Raw]) -> list[Raw] | None:
    """Return the tools open to the model. Ollama has no way to force a call."""
    tools: list[Raw] = typed(fields, "tools", list[Raw] | None, "an array of tools") or []
    names = []
    for number in range(len(tools)):
        tool: _Tool = typed({"tools": tools[number]}, "tools", _Tool, "an array of tools")
        if tool.type != "function" or tool.function is None:
            raise BadRequest(f"Ollama knows only function tools: tools[{number}] is none.", param="tools")
        names.append(tool.function.name)
    allowed = _allowed(fields)
    return [tool for tool, name in zip(tools, names, strict=True) if allowed is None or name in allowed] or None


def _allowed(fields: dict[str, Raw]) -> set[str] | None:
    """Return the names of the tools left by ``tool_choice``; ``None`` for all of them."""
    choice: str | _ToolChoice | None = typed(fields, "tool_choice", str | _ToolChoice | None, "a string or an object")
    if isinstance(choice, str):
        return set() if choice == "none" else None
    if choice is None:
        return None
    chosen = choice.allowed_tools.tools if choice.allowed_tools else [choice]
    return {tool.function.name for tool in chosen if tool.function}


def _format(fields: dict[str, Raw]) -> Any:
    wanted = "an object of type 'text', 'json_object' or 'json_schema', the latter with an object as its schema"
    format_: _ResponseFormat | None = typed(fields, "response_format", _ResponseFormat | None, wanted)
    if format_ is None or format_.type == "text":
        return None
    if format_.type == "json_object" or format_.json_schema is None or format_.json_schema.schema is None:
        return "json"
    return format_.json_schema.schema


def _think(fields: dict[str, Raw], settings: OllamaSettings) -> Any:
    if "think" in fields:
        return fields["think"]
    reasoning: _Reasoning | None = typed(fields, "reasoning", _Reasoning | None, "an object")
    effort: str | None = typed(fields, "reasoning_effort", str | None, "a string")
    effort = effort or (reasoning.effort if reasoning else None)
    return settings.think if effort is None else _EFFORTS.get(effort, effort)


def _prompt(fields: dict[str, Raw]) -> str:
    prompt: str | list[str] = _required(fields, "prompt", str | list[str], "a string (Ollama takes no tokens)")
    if isinstance(prompt, str):
        return prompt
    if len(prompt) != 1:
        raise BadRequest("Ollama cannot serve several prompts: ask for one reply at a time.", param="prompt")
    return prompt[0]
