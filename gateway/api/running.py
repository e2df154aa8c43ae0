"""An exchange under way: its headers for the client and its record for the writer, put together once."""

import functools
from collections.abc import Mapping

import msgspec

from gateway.api.claims import strong_cost, taken
from gateway.api.http import LONGEST, header_value
from gateway.auth import Holder
from gateway.completion import CompletionTrace
from gateway.domain import Arm, Exchange, Status
from gateway.formats.envelope import Conversation
from gateway.http_server.request_head import Header
from gateway.metrics.request_log import noted, noted_refusal
from gateway.metrics.spans import TRACEPARENT, SpanContext
from gateway.prices import cost_usd
from gateway.quotas.quotas import Claim
from gateway.recording import ALWAYS_KEPT, audit_rate, bounded, record_mode
from gateway.routing.chains import Link, link_of
from gateway.routing.conversation import cluster_of, conversation_key, tenant_of
from gateway.routing.route import RoutePlan
from gateway.services import Services
from gateway.settings.base import RecordMode

_LIMITS = "x-ratelimit-"
"""Beginning of the headers about limits: the client's own here go before those of the gateway's key upstream."""
HIT, MISS = "hit", "miss"
_PLANS = 1024
"""Most plans with remembered headers."""


@functools.lru_cache(_PLANS)
def _plan_headers(task: str | None, why: str) -> tuple[Header, ...]:
    """Return the headers about a plan for every client."""
    return (
        (b"x-preceptor-task", (task or "none").encode()),
        *([(b"x-preceptor-why", why.encode())] if why else []),
    )


@functools.lru_cache(_PLANS)
def _arm_headers(task: str | None, why: str, rules: int | None, arm: Arm, model: str) -> tuple[Header, ...]:
    """Return the headers about a plan and its arm. Callers shorten ``model``: a client may have named it."""
    return (
        *_plan_headers(task, why),
        (b"x-preceptor-rules", str(rules or "none").encode()),
        (b"x-preceptor-arm", arm.encode()),
        (b"x-preceptor-model", header_value(model)),
    )


class Running:
    """An exchange under way. Collects its record and hands it to the writer once."""

    __slots__ = (
        "_began", "_created", "_first_byte_ms", "_overhead_s", "_services", "cached", "claim", "conversation", "holder",
        "id", "last_event", "learn", "link", "ref", "span", "streaming", "trace", "upstream_request_id",
    )  # fmt: skip

    def __init__(self, services: Services, id_: str, holder: Holder | None = None) -> None:
        self._services = services
        self.id = id_
        self.holder = holder
        self._created = services.wall_clock()
        self._began = services.clock()
        self._first_byte_ms: float | None = None
        self._overhead_s = 0.0
        self.trace: CompletionTrace = CompletionTrace()
        self.claim: Claim | None = None
        """The request's place under its limits."""
        self.cached: str | None = None
        """``HIT`` or ``MISS`` after a look among the kept replies; ``None``: nobody looked."""
        self.streaming = False
        self.upstream_request_id: str | None = None
        """The upstream's own id of a refused request, for clients that know it by that name."""
        self.last_event = b""
        """The last event of a streamed reply, for APIs that number their events."""
        self.learn = True
        """The text may be kept; the client decides (``x-preceptor-learn: off``)."""
        self.ref: str | None = None
        """The client's own name for the request."""
        self.link: Link | None = None
        """The way of the response that the request goes on from, or of its stored conversation."""
        self.span: SpanContext | None = None
        self.conversation: str | None = None
        """The id of the conversation that the upstream stores."""

    @property
    def plan(self) -> RoutePlan | None:
        """The plan in execution; ``None`` until the request is understood."""
        return self.trace.plan

    @property
    def why(self) -> str:
        """The reason for answering without the rules of the task, or without a part of them; usually empty."""
        return self.trace.why or (self.plan.why if self.plan is not None else "")

    def hand_on(self, given: Mapping[bytes, bytes]) -> None:
        """Choose the request's headers for the upstream, and begin the exchange's span below the caller's."""
        services = self._services
        wanted = services.serving.request_headers
        if not wanted.isdisjoint(given):
            self.trace.request_headers = [(name, given[name]) for name in wanted if name in given]
        if services.tracer is not None:
            self.span = services.tracer.begin(given.get(TRACEPARENT))
            self.trace.traceparent = self.span.traceparent
            if TRACEPARENT in given and TRACEPARENT in wanted:
                self.trace.request_headers = [
                    header for header in self.trace.request_headers if header[0] != TRACEPARENT
                ]

    def elapsed_s(self) -> float:
        """Return the seconds since the request arrived."""
        return self._services.clock() - self._began

    def begin(self) -> None:
        """Note the beginning of the reply."""
        elapsed = self._services.clock() - self._began
        self._first_byte_ms = elapsed * 1000
        if self.trace.reply_id is not None:
            self.id = self.reply_id()
        self._overhead_s = max(0.0, elapsed - self.trace.waited_s)

    def record_mode(self, task: str | None) -> RecordMode:
        """Return how much of the exchange is recorded if it is of a task, or of none."""
        return record_mode(task, self._services.settings, "all" if self.holder is None else self.holder.record)

    def reply_id(self) -> str:
        """Return the id of the reply and its record: the upstream's own where the reply keeps that."""
        given = self.trace.reply_id
        if given is not None and self._services.chains.get(given) is None:
            return given
        return self.id  # a server that repeats its ids would make another record vanish

    def headers(self) -> list[Header]:
        id_ = (b"x-request-id", self.id.encode())
        plan = self.trace.plan
        if plan is None:
            return [id_]
        server = self._services.serving.settings.server
        if server.arm_headers:
            about = _arm_headers(plan.task, self.why, plan.rules_version, plan.arm, plan.model[:LONGEST])
        else:
            about = _plan_headers(plan.task, self.why)
        headers = [id_, *about, (b"x-preceptor-overhead-ms", b"%.3f" % (self._overhead_s * 1000))]
        if self.cached is not None:
            headers.append((b"x-preceptor-cache", self.cached.encode()))
        limits = () if self.claim is None else self.claim.headers()
        headers += limits
        reply = self.trace.reply
        if reply is not None and (plan.task is None or server.arm_headers):
            handed_on = self._services.serving.reply_headers
            headers += [
                (handed_on[name], header_value(value))
                for name, value in reply.headers.items()
                if name in handed_on and not (limits and name.startswith(_LIMITS))
            ]
        return headers

    def end(self, status: Status, http_status: int, error: str | None = None) -> None:
        """Record the exchange. A request without a plan, or with a kept reply, is not recorded."""
        trace, holder = self.trace, self.holder
        plan = trace.plan
        services = self._services
        settings = services.serving.settings
        if plan is None or self.cached == HIT:
            self._end_unrecorded(plan, status, http_status, error)
            return
        record = self.record_mode(plan.task)
        learn = self.learn and record == "all"
        model = settings.models.get(plan.model)
        usage = taken(trace, plan)
        cost = None if model is None else cost_usd(model.price, usage)
        paid_at = services.money_clock()
        if self.claim is not None:
            self.claim.settle(usage.prompt_tokens + usage.output_tokens, cost, paid_at)
        if cost is not None:
            place = (holder.name if holder is not None else "", plan.task or "", plan.arm, plan.model)
            services.spending.add(paid_at, place, usage, cost, strong_cost(plan, settings, usage))
        cluster = self._cluster(plan)
        rate = audit_rate(plan.task, settings, services.rules.current) if learn else 0.0
        # Complete from the start: in the writer's queue, everything of the request would have to live on for it, and
        # every other request would find its memory cold (a tenth of the throughput, ``tests.bench.gateway``).
        exchange = Exchange(
            id=self.id,
            created=self._created,
            task=plan.task,
            client_model=plan.envelope.model,
            model=plan.model,
            arm=plan.arm,
            rules=plan.rules_version,
            stream=plan.envelope.stream,
            status=status,
            http_status=http_status,
            error=error,
            request=plan.envelope.recorded(plan.envelope.body) if learn else b"{}",
            reply=trace.text if learn else None,
            finish_reason=trace.finish_reason,
            usage=trace.usage,
            latency_ms=(services.clock() - self._began) * 1000,
            first_byte_ms=self._first_byte_ms,
            tool_calls=trace.tool_calls if learn else (),
            key=holder.name if holder is not None else None,
            ref=self.ref,
            cost_usd=cost,
            tenant=tenant_of(plan.envelope) if learn else None,
            cluster=cluster if learn else None,
            audit_rate=rate if services.audit.draws(self.id, rate) else 0.0,
        )
        if trace.reply_id == self.id:
            link = msgspec.structs.replace(link_of(exchange), cluster=cluster)
            services.chains.remember(self.id, link)
            if self.conversation is not None:
                services.chains.remember(self.conversation, link)
        if status != "ok" or exchange.tool_calls or len(exchange.request) + len(exchange.reply or "") > ALWAYS_KEPT:
            exchange = bounded(exchange, settings.server.max_record_mb * 10**6)
        if record != "off":
            services.writer.put(exchange)
        services.telemetry.exchange(
            exchange,
            self._overhead_s,
            model="" if model is None else plan.model,
            upstream=plan.upstream,
            owner="" if holder is None else holder.owner or holder.name,
        )
        if self.span is not None and services.tracer is not None:
            services.tracer.note(self.span, exchange, path=plan.envelope.path, overhead_s=self._overhead_s)
        if settings.log.each_request:
            note = noted(exchange, self._overhead_s * 1000)
            services.request_log.note(note if self.cached is None else msgspec.structs.replace(note, cache=self.cached))
        why = trace.why or plan.why
        if why:
            services.telemetry.rules_left_out(plan.task, why)

    def _end_unrecorded(self, plan: RoutePlan | None, status: Status, http_status: int, error: str | None) -> None:
        """Count and log a request that is no exchange: it got no plan, or a kept reply answered it."""
        services = self._services
        if plan is None:
            services.telemetry.refused(http_status)
            if services.serving.settings.log.each_request:
                self._note_refused(status, http_status, error)
            return
        if self.claim is not None:
            self.claim.settle(0, None)
        repeated = Exchange(
            id=self.id,
            created=self._created,
            task=plan.task,
            client_model=plan.envelope.model,
            model=plan.model,
            arm=plan.arm,
            rules=plan.rules_version,
            stream=plan.envelope.stream,
            status=status,
            http_status=http_status,
            error=error,
            latency_ms=self.elapsed_s() * 1000,
            first_byte_ms=self._first_byte_ms,
            key=self.holder.name if self.holder is not None else None,
            ref=self.ref,
        )
        if self.span is not None and services.tracer is not None:
            services.tracer.note(self.span, repeated, path=plan.envelope.path, overhead_s=self._overhead_s)
        if services.serving.settings.log.each_request:
            note = noted(repeated, self._overhead_s * 1000)
            services.request_log.note(msgspec.structs.replace(note, cache=self.cached))

    def _note_refused(self, status: Status, http_status: int, error: str | None) -> None:
        self._services.request_log.note(
            noted_refusal(
                at=self._created,
                id_=self.id,
                status=status,
                http_status=http_status,
                error=error,
                ref=self.ref,
                key=self.holder.name if self.holder is not None else None,
                latency_ms=self.elapsed_s() * 1000,
            )
        )

    def _cluster(self, plan: RoutePlan) -> str | None:
        """Return the conversation of a chain: that of its first response."""
        if self.link is not None and self.link.cluster is not None:
            return self.link.cluster
        if not isinstance(plan.envelope, Conversation):
            return None
        return cluster_of(plan.conversation or conversation_key(plan.envelope))
