"""The sections ``[upstreams.NAME]``: one struct per kind of server, and the limits that all kinds share."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

import msgspec
from msgspec import Meta

from gateway.settings.base import Count, Positive, Section, doc


class UpstreamLimits(Section, frozen=True):
    """A server that answers for models. These settings hold for every `kind`; each kind adds its own.

    `kind = "openai"`: any OpenAI-compatible server. `"ollama"`: Ollama's own API. `"llamacpp"`: the embedded server, a
    supervised child process.
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
        str | None, doc("Sent as a bearer token. Write `${VAR}` or `file:/run/secrets/NAME`, not the key.")
    ] = None
    api_key_header: Annotated[
        str | None, doc("Header that carries the key as it is, instead of a bearer token (Azure: `api-key`).")
    ] = None
    headers: Annotated[Mapping[str, str], doc("More headers, sent with every request.")] = {}

    def without_secrets(self) -> Self:
        """A copy without the key and the headers."""
        return msgspec.structs.replace(self, api_key=None, headers={})


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


UpstreamSettings = OpenAISettings | OllamaSettings | LlamaCppSettings
"""The section of an upstream, told apart by ``kind``."""
