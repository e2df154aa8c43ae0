"""The section ``[server]``: the gateway's address, its data folder and the bounds of its clients."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from gateway.settings.base import Count, Positive, RecordMode, Section, doc

HeaderName = Annotated[
    str,
    Meta(
        pattern=r"^(?!(?:authorization|proxy-.*|.*cookie|.*api-key|connection|keep-alive|te|trailer|transfer-encoding"
        r"|upgrade|host|expect|content-.*|accept-encoding|x-request-id|x-preceptor-.*)\Z)[a-z0-9][a-z0-9-]{0,60}\Z"
    ),
]
"""A header, in lower case, with neither a secret nor the connection's own business."""


class Server(Section, frozen=True):
    """The address of the gateway and its data folder."""

    host: Annotated[str, doc("Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535), doc("TCP port; 0 takes a free one.")] = 8100
    admin_port: Annotated[
        Annotated[int, Meta(ge=1, le=65535)] | None,
        doc(
            "TCP port, on the same `host`, for `/admin` and `/metrics`, which `port` does not answer then; default:"
            " `port` answers all. Read at the start."
        ),
    ] = None
    allowed_hosts: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^(\*|(\*\.)?[A-Za-z0-9_.:-]+)\Z")], ...],
        doc(
            "Names by which clients may call the gateway, without a port; `*.example.com` for every name below it, `*`"
            " for any. Without client keys, `localhost`, addresses and `host` are always allowed, and no other name"
            " unless it is listed; with keys, every name is allowed unless there is a list."
        ),
    ] = ()
    cors_origins: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^(\*|https?://[^/\s]+)\Z")], ...],
        doc(
            "Origins of web pages that may use the gateway from a browser, such as `https://app.example.com`; `*` for"
            " any. Without client keys, requests from other pages are refused."
        ),
    ] = ()
    arm_headers: Annotated[
        bool,
        doc(
            "Tell clients the model, the rule set and the arm of each reply (`x-preceptor-model`, `-rules`, `-arm`)."
            " A client that knows the arm could label the replies of a trial as wrong and those of the live rules as"
            " right: switch it on where all clients are trusted."
        ),
    ] = False
    request_headers: Annotated[
        tuple[HeaderName, ...],
        doc("Headers of a client's request that its upstream gets, too; never a key or a cookie."),
    ] = ("openai-beta", "anthropic-beta", "anthropic-version", "traceparent", "tracestate")
    reply_headers: Annotated[
        tuple[HeaderName, ...],
        doc(
            "Headers of an upstream's reply that the client gets, too. Requests of a task get them only with"
            " `arm_headers`: they tell which model answered."
        ),
    ] = (
        "openai-processing-ms", "openai-version", "x-ratelimit-limit-requests", "x-ratelimit-limit-tokens",
        "x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-requests",
        "x-ratelimit-reset-tokens",
    )  # fmt: skip
    data_dir: Annotated[
        Path, doc("Folder for the database, the spool and the caches, a gateway's own; created if missing.")
    ] = Path("./data")
    store: Annotated[
        Annotated[str, Meta(pattern=r"^postgres(ql)?://")] | None,
        doc(
            "Postgres instead of SQLite in `data_dir`, for gateways on several hosts: `postgresql://user@host/db`, as"
            " libpq takes it; a password better as `${VAR}`, the whole address also as `file:PATH`. Needs the extra"
            " `postgres`."
        ),
    ] = None
    default_upstream: Annotated[
        str | None, doc("Upstream for unknown model names, which pass through untouched; without it they get a 404.")
    ] = None
    admin_key: Annotated[
        str | None,
        doc("Key of the admin API (`/admin`), at least 16 characters; better `${VAR}` or `file:PATH`. None: off."),
    ] = None
    counters: Annotated[
        Annotated[str, Meta(pattern=r"^valkey://[^/\s]+(/\d+)?\Z")] | None,
        doc(
            "Valkey for `limits` and `budget` of keys and tasks over several gateways, such as `valkey://host:6379/0`;"
            " default: limits hold for each gateway by itself, budgets within two seconds. Read at the start."
        ),
    ] = None
    counters_fail: Annotated[
        Literal["open", "closed"],
        doc(
            "Without an answer of the counters in 0.25 s: `open`: each gateway counts alone; `closed`: requests under a"
            " limit or a budget get a 503. Read at the start."
        ),
    ] = "open"
    max_body_mb: Annotated[Positive, doc("Largest request body, in MB (10^6 bytes).")] = 20.0
    max_upload_mb: Annotated[
        Positive,
        doc(
            "Largest body that is only handed on, such as a file or sound for `default_upstream`, in MB (10^6 bytes)."
            " It is held only until its `model` has come; `body_timeout_s` bounds its time."
        ),
    ] = 1000.0
    max_bodies_mb: Annotated[
        Positive,
        doc(
            "All request bodies that a process holds at once, in MB (10^6 bytes); beyond that new ones get a 503"
            " `too_many_bodies`."
        ),
    ] = 500.0
    max_record_mb: Annotated[
        float,
        Meta(ge=0.1, le=10**9),
        doc(
            "Request and reply of an exchange, in MB (10^6 bytes), beyond which it is recorded without its texts;"
            " nothing is learnt from it then."
        ),
    ] = 25.0
    max_json_values: Annotated[
        Count,
        doc(
            "Most values in a request's JSON body: texts, numbers, objects, lists. Plain numbers of `/v1/embeddings`"
            " do not count."
        ),
    ] = 100_000
    max_connections: Annotated[
        Count | None,
        doc(
            "Most client connections of a process. When all are taken, idle ones are closed for new ones. Default: half"
            " of the open-file limit, 10,000 at most. Read at the start."
        ),
    ] = None
    silence_timeout_s: Annotated[
        Positive, doc("Seconds that a client may be silent in the middle of a request. Read at the start.")
    ] = 30.0
    head_timeout_s: Annotated[
        Positive, doc("Seconds for a request's head to arrive, from its first byte on. Read at the start.")
    ] = 30.0
    body_timeout_s: Annotated[
        Positive, doc("Seconds for a whole request to arrive, from its first byte on. Read at the start.")
    ] = 120.0
    write_timeout_s: Annotated[
        Positive,
        doc(
            "Seconds in which a client must take 64 KiB of its answer, or all of it if less waits; otherwise its"
            " connection is cut. Read at the start."
        ),
    ] = 30.0
    heartbeat_s: Annotated[
        Positive,
        doc(
            "Seconds without an event after which a client of a stream gets a comment as a sign of life, and its status"
            " 200 if it has none yet; a later error is then an event of the stream."
        ),
    ] = 10.0
    keep_alive_s: Annotated[
        Positive,
        doc(
            "Seconds that a connection is kept without a request. Longer than clients keep theirs, or requests on their"
            " way get lost. Read at the start."
        ),
    ] = 75.0
    record: Annotated[
        RecordMode,
        doc(
            "How much of each exchange is recorded. `text off`: numbers without request, reply and end user; `off`:"
            " nothing, it is only counted. Without texts nothing is learnt."
        ),
    ] = "all"
    retention_days: Annotated[
        Positive | None,
        doc("Days until an exchange and its feedback are deleted; none: they are kept."),
    ] = None
    max_store_gb: Annotated[
        Positive,
        doc(
            "Size of the database, in GB (10^9 bytes), beyond which the oldest exchanges are deleted with their"
            " feedback, whatever their age."
        ),
    ] = 20.0
    lame_duck_s: Annotated[
        float,
        Meta(ge=0, le=3600),
        doc(
            "Seconds that the gateway serves on after SIGTERM while `/readyz` answers 503, so that load balancers turn"
            " to others before it stops; only if somebody asked `/readyz` in the last minute. Read at the start."
        ),
    ] = 5.0
    drain_s: Annotated[Positive, doc("Seconds for running requests to finish when the gateway stops.")] = 10.0
    workers: Annotated[
        Count,
        doc(
            "Processes that serve, one per core; Linux only. Limits on calls under way and breakers hold for each"
            " process. Read at the start."
        ),
    ] = 1

    def __repr__(self) -> str:
        return f"Server(host={self.host!r}, port={self.port})"  # the admin key is a secret
