"""The parts shared by all request handlers, built once by ``app`` for the life of the process. Decides nothing."""

import math
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from gateway.auth import Keyring
from gateway.background import Background
from gateway.body_memory import BodyMemory
from gateway.completion import Completions
from gateway.context import Configuration, LearnerContext
from gateway.formats.json_values import SMALLEST
from gateway.issued_keys import IssuedKey, keyring
from gateway.metrics.request_log import RequestLog
from gateway.metrics.spans import Tracer
from gateway.metrics.telemetry import Telemetry
from gateway.origins import Origins
from gateway.presence import Presence
from gateway.quotas.cells import Cells
from gateway.quotas.quotas import Quotas, limited_subjects
from gateway.quotas.replicas import ReplicaCounts
from gateway.recording import AuditDraw
from gateway.reply_cache import ReplyCache
from gateway.routing.chains import Chains
from gateway.routing.classify import Classifier
from gateway.routing.rule_snapshot import LiveRules
from gateway.settings import AnthropicSettings, Settings
from gateway.spending.book import SpendBook
from gateway.store.base import Recorder, Store
from gateway.store.retention import DAY_S
from gateway.upstream.quirk_memory import QuirkMemory

_RANDOM_BYTES = 10
_DRAWN = 256
_drawn: deque[str] = deque()
"""Random parts of ids, drawn from the system in batches: a draw takes as long as routing a request."""
os.register_at_fork(after_in_child=_drawn.clear)


def new_exchange_id(prefix: str) -> str:
    """Return a unique, unguessable id with the prefix of an API, such as ``chatcmpl-``.

    The time comes first: rows in the order of their index are written at twice the speed.
    """
    try:
        random = _drawn.pop()
    except IndexError:
        many = os.urandom(_RANDOM_BYTES * _DRAWN).hex()
        _drawn.extend(many[at : at + 2 * _RANDOM_BYTES] for at in range(0, len(many), 2 * _RANDOM_BYTES))
        random = _drawn.pop()
    return f"{prefix}{time.time_ns() // 10**6:012x}{random}"


@dataclass(frozen=True, kw_only=True)
class Serving(Configuration):
    """The parts built from a configuration. A reload replaces them all at once; a request reads them once."""

    completions: Completions
    classifier: Classifier

    @cached_property
    def speaks_anthropic(self) -> bool:
        """Some upstream takes Anthropic's messages as they are."""
        return any(isinstance(upstream, AnthropicSettings) for upstream in self.settings.upstreams.values())

    @cached_property
    def request_headers(self) -> frozenset[bytes]:
        """The headers of requests for upstreams."""
        return frozenset(name.encode() for name in self.settings.server.request_headers)

    @cached_property
    def reply_headers(self) -> Mapping[str, bytes]:
        """The headers of an upstream's replies for clients, with their names there."""
        names = {name: name.encode() for name in self.settings.server.reply_headers}
        return {**names, "x-request-id": b"x-upstream-request-id"}

    @cached_property
    def kept_seconds(self) -> Mapping[str, float]:
        """The longest life of a kept reply by task, in seconds; only tasks that keep replies."""
        longest = (self.settings.server.retention_days or math.inf) * DAY_S
        tasks = self.settings.tasks.items()
        return {name: min(task.cache.seconds, longest) for name, task in tasks if task.cache is not None}

    @cached_property
    def body_limit(self) -> int:
        """Largest request body, in bytes."""
        return int(self.settings.server.max_body_mb * 10**6)

    @cached_property
    def short_limit(self) -> int:
        """Largest body that needs no count of its JSON values, in bytes."""
        return min(self.body_limit, self.settings.server.max_json_values * SMALLEST)

    @property
    def upload_limit(self) -> int:
        """Largest body that is handed on in pieces, in bytes."""
        return int(self.settings.server.max_upload_mb * 10**6)


@dataclass(kw_only=True)
class Services:
    """The parts of a running gateway. Clocks are in seconds; ``wall_clock`` since the epoch."""

    serving: Serving
    store: Store
    writer: Recorder
    rules: LiveRules = field(default_factory=LiveRules)
    audit: AuditDraw = field(default_factory=lambda: AuditDraw(os.urandom(32)))
    telemetry: Telemetry = field(default_factory=Telemetry)
    tracer: Tracer | None = None
    request_log: RequestLog = field(default_factory=RequestLog)
    quirks: QuirkMemory = field(default_factory=lambda: QuirkMemory(time.time))
    """The models' quirks, stated and learnt."""
    chains: Chains = field(default_factory=Chains)
    """The ways of the newest responses of ``/v1/responses``."""
    replies: ReplyCache = field(default_factory=lambda: ReplyCache(time.monotonic))
    """The kept replies of tasks with a cache."""
    presence: Presence = field(default_factory=Presence)
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time
    new_id: Callable[[str], str] = new_exchange_id
    background: Background = field(default_factory=Background)
    on_retention: list[Callable[[float], int]] = field(default_factory=list)
    """Functions that delete texts from before a time outside the store, and return the number of texts."""
    on_reload: list[Callable[[], None]] = field(default_factory=list)
    """Functions called after ``serving`` was replaced."""
    cells: Cells | None = None
    """Counts shared with other workers; ``None`` in a single process."""
    replicas: ReplicaCounts | None = None
    """Counts of limits over several gateways; ``None``: each counts alone."""
    quotas: Quotas = field(init=False)
    """All limits and budgets."""
    spending: SpendBook = field(default_factory=SpendBook)
    """The money spent since the store was told."""
    issued: Mapping[str, IssuedKey] = field(default_factory=dict)
    """The keys made by command, by name."""
    keys: Keyring = field(init=False)
    """All client keys."""
    origins: Origins = field(init=False)
    """The allowed hosts and web pages."""
    bodies: BodyMemory = field(init=False)

    def __post_init__(self) -> None:
        self.quotas = Quotas(self.clock, self.money_clock, self.cells)
        self.telemetry.registry.register(self.replies)
        self.take_keys(self.issued)
        self.on_reload.append(lambda: self.take_keys(self.issued))
        self.bodies = BodyMemory(lambda: self.settings.server.max_bodies_mb * 10**6)

    def money_clock(self) -> float:
        """Return the time that periods of budgets go by: of the shared counters, else of this host."""
        return self.wall_clock() if self.replicas is None else self.replicas.now()

    def take_keys(self, issued: Mapping[str, IssuedKey]) -> None:
        """Put the keys of the configuration and those made by command into effect, with their limits."""
        self.issued = issued
        self.replies.clear()  # a key that is over leaves no text behind, nor does another configuration
        keys = {**issued, **self.settings.keys}
        limited = {name: (key.limits, key.budget) for name, key in keys.items()}
        self.quotas.configure(limited_subjects(self.settings, limited))
        self.serving.completions.quotas = self.quotas
        self.keys = keyring(self.settings.keys, issued, self.wall_clock)
        self.origins = Origins(self.settings.server, keyless=not self.keys)

    @property
    def settings(self) -> Settings:
        """The configuration that is in effect now."""
        return self.serving.settings

    def learner_context(self) -> LearnerContext:
        """Return the narrow view of this gateway that a plugin hands to the optimizer."""
        return LearnerContext(
            configuration=lambda: self.serving,
            store=self.store,
            clock=self.clock,
            wall_clock=self.wall_clock,
            on_reload=self.on_reload,
            background=self.background,
            gauge=self.telemetry.gauge,
        )
