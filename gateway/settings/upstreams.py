"""The sections ``[upstreams.NAME]``: one struct per kind of server, and the limits that all kinds share."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

import msgspec
from msgspec import Meta, field

from gateway.settings.base import Count, Positive, Section, doc
from gateway.settings.quotas import NO_LIMITS, Limits

_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 4096, "high": 16384, "xhigh": 32768, "max": 32768}


class UpstreamLimits(Section, frozen=True):
    """A server that answers for models. These settings hold for every `kind`; each kind adds its own.

    `kind = "openai"`: any OpenAI-compatible server. `"anthropic"`: Anthropic's own API. `"ollama"`: Ollama's own API.
    `"llamacpp"`: the embedded server, a supervised child process.
    """

    may_teach: Annotated[
        bool, doc("Let its models be the `strong` model of a task, which explains mistakes and writes rules.")
    ] = True
    connect_timeout_s: Annotated[Positive, doc("Seconds to open a connection.")] = 10.0
    first_byte_timeout_s: Annotated[
        Positive,
        doc(
            "Seconds until a reply begins: its first event if it is streamed, else the whole reply, because a server"
            " generates it before sending it."
        ),
    ] = 300.0
    idle_timeout_s: Annotated[Positive, doc("Seconds between two pieces of an answer.")] = 120.0
    total_timeout_s: Annotated[Positive, doc("Seconds for a whole answer.")] = 900.0
    max_answer_mb: Annotated[
        Positive,
        doc("Largest answer, whole or streamed, in MB (10^6 bytes); a larger one is an error. Files pass unbounded."),
    ] = 100.0
    max_connections: Annotated[Count, doc("Requests under way at once; more wait for their turn.")] = 512
    queue_timeout_s: Annotated[Positive, doc("Seconds that a request waits for its turn; then it gets a 503.")] = 30.0
    limits: Annotated[
        Limits, doc("What this gateway may ask of the server; beyond it requests go to a fallback, or get a 429.")
    ] = NO_LIMITS
    retries: Annotated[
        int,
        Meta(ge=0, le=10),
        doc("Further attempts, before the first byte, when the upstream cannot be reached, is busy or fails."),
    ] = 2
    retry_after_cap_s: Annotated[
        Positive, doc("Longest `Retry-After`, in seconds, to wait for here; the client gets a longer one.")
    ] = 8.0
    breaker_failures: Annotated[
        Count, doc("Failures in a row after which the upstream gets a rest: requests fail, or fall back, at once.")
    ] = 8
    breaker_rest_s: Annotated[Positive, doc("Seconds of rest before a single request tries again.")] = 5.0
    responses: Annotated[
        Literal["auto", "own", "chat"],
        doc(
            "How `/v1/responses` is served: `own`, by the server's own endpoint; `chat`, translated to a chat and back;"
            " `auto`, by its own, and as a chat once it has answered that there is none."
        ),
    ] = "auto"

    kind: ClassVar[str]
    at_home: ClassVar[bool] = False
    """The models run on hardware of one's own: they cost nothing unless they have a price."""

    @property
    def shaping(self) -> Mapping[str, Any]:
        """The settings that shape answers: another value, and a cached answer is another model's."""
        return {}

    def without_secrets(self) -> Self:
        """A copy that another process may see."""
        return self


class RemoteSettings(UpstreamLimits, frozen=True):
    """A server that may want a key."""

    api_key: Annotated[
        str | None,
        doc(
            "Sent as a bearer token; to Anthropic as `x-api-key`. Write `${VAR}` or `file:/run/secrets/NAME`, not the"
            " key."
        ),
    ] = None
    api_key_header: Annotated[
        str | None, doc("Header that carries the key as it is, instead of a bearer token (Azure: `api-key`).")
    ] = None
    headers: Annotated[Mapping[str, str], doc("More headers, sent with every request.")] = {}
    proxy: Annotated[
        Annotated[str, Meta(pattern=r"^(none|http://[^/\s]+/?)\Z")] | None,
        doc(
            "HTTP proxy on the way to the server, such as `http://proxy:3128`; `none`: no proxy. Default: `HTTPS_PROXY`"
            " of the environment for an address with https, unless `NO_PROXY` names its host."
        ),
    ] = None

    @property
    def address(self) -> str:
        """The address as configured, to tell two servers apart."""
        return ""

    def without_secrets(self) -> Self:
        """A copy without the key, the headers and the proxy."""
        return msgspec.structs.replace(self, api_key=None, headers={}, proxy=None)


class OpenAISettings(RemoteSettings, frozen=True, kw_only=True, tag_field="kind", tag="openai"):
    """Any OpenAI-compatible server."""

    base_url: Annotated[str, doc("Address up to and including `/v1`; a query string is sent with every request.")]

    kind: ClassVar[str] = "openai"

    @property
    def address(self) -> str:
        """The address as configured, to tell two servers apart."""
        return self.base_url

    @property
    def capacity(self) -> int:
        """Requests that the server works on at once."""
        return self.max_connections

    def __repr__(self) -> str:
        return "OpenAISettings()"  # its key, headers and address may hold secrets


class AnthropicSettings(RemoteSettings, frozen=True, kw_only=True, tag_field="kind", tag="anthropic"):
    """A server with Anthropic's Messages API. Chats are translated. The header of the key is `x-api-key`."""

    base_url: Annotated[str, doc("The server's root, without `/v1`.")] = "https://api.anthropic.com"
    version: Annotated[
        str,
        doc("Sent as `anthropic-version` where the client sends none of its own."),
        Meta(pattern=r"^[0-9A-Za-z.-]+\Z"),
    ] = "2023-06-01"
    max_tokens: Annotated[
        Count, doc("Limit of a chat that sets none: Anthropic's API wants a limit in every request.")
    ] = 8192
    thinking_tokens: Annotated[
        Mapping[str, Annotated[int, Meta(ge=1024)]],
        doc(
            "Budget of thinking for each `reasoning_effort` of a chat, in tokens, for models up to Claude 4.5; later"
            " ones get the effort itself. An effort without a budget asks for no thinking."
        ),
    ] = field(default_factory=lambda: dict(_BUDGETS))

    cache_rules: Annotated[
        bool,
        doc(
            "Set a cache breakpoint behind the rules in a message's `system`, where the client's own leave room: tools,"
            " instructions and rules then cost a tenth when they are read again, and a quarter more when written."
        ),
    ] = True

    cache_chats: Annotated[
        bool,
        doc(
            "Set cache breakpoints in chats and responses without any: behind the instructions and, once a conversation"
            " goes on, behind the last message. OpenAI's clients expect a prompt cache that works by itself."
        ),
    ] = True

    kind: ClassVar[str] = "anthropic"

    @property
    def address(self) -> str:
        """The address as configured, to tell two servers apart."""
        return self.base_url

    @property
    def capacity(self) -> int:
        """Requests that the server works on at once."""
        return self.max_connections

    @property
    def shaping(self) -> Mapping[str, Any]:
        """The limit and the budgets: they decide where an answer ends."""
        return {"max_tokens": self.max_tokens, "thinking_tokens": dict(self.thinking_tokens)}

    def __repr__(self) -> str:
        return "AnthropicSettings()"  # its key, headers and address may hold secrets


class OllamaSettings(RemoteSettings, frozen=True, kw_only=True, tag_field="kind", tag="ollama"):
    """An Ollama server, spoken to in Ollama's own API."""

    base_url: Annotated[str | None, doc("The server's root, without `/v1`; default: `http://127.0.0.1:11434`.")] = None
    options: Annotated[
        Mapping[str, Any], doc("Model options, such as `num_ctx`, unless a request sets them itself.")
    ] = {}
    keep_alive: Annotated[str | None, doc("Time that a model stays loaded after a request, such as `10m`.")] = None
    think: Annotated[bool | None, doc("Let the model think first; the default is the model's own.")] = None
    parallel: Annotated[
        Count, doc("Requests that a model works on at once, as far as background work should assume.")
    ] = 2

    kind: ClassVar[str] = "ollama"
    at_home: ClassVar[bool] = True

    @property
    def shaping(self) -> Mapping[str, Any]:
        """The model's options and its thinking, as far as they are set."""
        given = {"options": dict(self.options) or None, "think": self.think}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def address(self) -> str:
        """The address as configured, to tell two servers apart; empty for the default."""
        return self.base_url or ""

    @property
    def capacity(self) -> int:
        """Requests that the server works on at once."""
        return self.parallel

    def __repr__(self) -> str:
        return "OllamaSettings()"  # its key, headers and address may hold secrets


class LlamaCppSettings(UpstreamLimits, frozen=True, kw_only=True, tag_field="kind", tag="llamacpp"):
    """The embedded server: a supervised child process per model."""

    threads: Annotated[Count | None, doc("Threads for generation; default: all cores.")] = None
    parallel: Annotated[Count, doc("Requests that a model works on at once.")] = 2
    context: Annotated[Count, doc("Context of a request in tokens.")] = 4096

    kind: ClassVar[str] = "llamacpp"
    at_home: ClassVar[bool] = True

    @property
    def address(self) -> str:
        """Empty: a child takes a free port at every start."""
        return ""

    @property
    def capacity(self) -> int:
        """Requests that the server works on at once."""
        return self.parallel


UpstreamSettings = OpenAISettings | AnthropicSettings | OllamaSettings | LlamaCppSettings
"""The section of an upstream, told apart by ``kind``."""
