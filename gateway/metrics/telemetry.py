"""The gateway's metrics, served at ``/metrics`` in Prometheus' text format.

The request path counts in plain numbers, and a scrape makes metrics of them: a counter of the client library costs ten
times as much, for locks not needed by a single event loop. Each gateway has a registry of its own, so that tests and
two gateways in one process do not share counts.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Self

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.background import State
from gateway.domain import Exchange
from gateway.metrics.worker_counts import WorkerCounts

_LATENCY_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_OVERHEAD_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25)


class Telemetry(Collector):
    """All metrics of a gateway. The label ``task`` is empty for requests without a task. For a single event loop."""

    def __init__(self) -> None:
        self.counts: WorkerCounts | None = None
        """The counts shared between workers; ``None`` in a single process."""
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self._ended: dict[tuple[str, str, str], _Ended] = defaultdict(_Ended)
        self._served: dict[tuple[str, str, str, str, str], _Served] = defaultdict(_Served)
        self._first_token: dict[str, _Times] = defaultdict(lambda: _Times(_LATENCY_S))
        self._refused: dict[int, int] = defaultdict(int)
        self._left_out: dict[tuple[str, str], int] = defaultdict(int)
        self._overhead = _Times(_OVERHEAD_S)
        self._upstream_events = Counter(
            "preceptor_upstream_events",
            "Further attempts (retry), rests after failures (resting) and their ends (recovered).",
            ["upstream", "event"], registry=self.registry,
        )  # fmt: skip
        self._upstream_calls = Gauge(
            "preceptor_upstream_calls", "Calls under way, and calls that wait for their turn.", ["upstream", "state"],
            registry=self.registry,
        )  # fmt: skip
        self._cuts = Counter(
            "preceptor_connections_cut", "Client connections cut, by reason.", ["reason"], registry=self.registry
        )
        self._loops = Gauge(
            "preceptor_background_running", "Background loops that run now: 1, or 0 before the next start.", ["loop"],
            registry=self.registry,
        )  # fmt: skip
        self._loop_failures = Counter(
            "preceptor_background_failures", "Unexpected errors of background loops.", ["loop"], registry=self.registry
        )
        self._deletions = Counter(
            "preceptor_store_deleted", "Exchanges deleted because of their age or the size of the database.", ["bound"],
            registry=self.registry,
        )  # fmt: skip
        self._rules = Gauge("preceptor_rules_version", "Active rule set; 0 for none.", ["task"], registry=self.registry)

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a gauge with its description; every scrape calls ``read`` for the value."""
        Gauge(name, text, registry=self.registry).set_function(read)

    def exchange(
        self, exchange: Exchange, overhead_s: float, *, model: str = "", upstream: str = "", owner: str = ""
    ) -> None:
        """Count an exchange at its end. ``model`` is a configured name, empty for a name of the client's."""
        served = self._served[model, upstream, owner, exchange.task or "", str(exchange.http_status)]
        served.count += 1
        served.cost_usd += exchange.cost_usd or 0.0
        if exchange.stream and exchange.first_byte_ms is not None:
            self._first_token[model].add(exchange.first_byte_ms / 1000)
        ended, usage = self._ended[exchange.task or "", exchange.arm, exchange.status], exchange.usage
        ended.prompt_tokens += usage.prompt_tokens
        ended.output_tokens += usage.output_tokens
        ended.latency.add(exchange.latency_ms / 1000)
        self._overhead.add(overhead_s)

    def refused(self, status: int) -> None:
        """Count a request that no model was chosen for."""
        self._refused[status] += 1

    def rules_left_out(self, task: str | None, why: str) -> None:
        """Count an exchange without the rules of its task, or without a part of them."""
        self._left_out[task or "", why] += 1

    def upstream_event(self, upstream: str, event: str) -> None:
        self._upstream_events.labels(upstream, event).inc()

    def upstream_calls(self, upstream: str, *, in_flight: int, waiting: int) -> None:
        self._upstream_calls.labels(upstream, "in_flight").set(in_flight)
        self._upstream_calls.labels(upstream, "waiting").set(waiting)

    def deleted(self, bound: str, number: int) -> None:
        self._deletions.labels(bound).inc(number)

    def connection_cut(self, reason: str) -> None:
        self._cuts.labels(reason).inc()

    def background_loop(self, loop: str, state: State) -> None:
        """Note a change in a loop's state."""
        self._loops.labels(loop).set(state == "running")
        failures = self._loop_failures.labels(loop)  # from the first start on, so that a rate can be computed
        if state == "failed":
            failures.inc()

    def rules(self, task: str, version: int) -> None:
        self._rules.labels(task).set(version)

    def text(self) -> bytes:
        return generate_latest(self.registry)

    def collect(self) -> Iterable[Metric]:
        """Return the plain numbers as metrics, for the registry."""
        exchanges = CounterMetricFamily(
            "preceptor_exchanges", "Exchanges by how they ended.", labels=["task", "arm", "status"]
        )
        tokens = CounterMetricFamily(
            "preceptor_tokens", "Tokens that upstreams reported.", labels=["task", "direction"]
        )
        latency = HistogramMetricFamily("preceptor_latency_seconds", "Whole exchanges.", labels=["task"])
        by_task: dict[str, list[_Ended]] = defaultdict(list)
        for labels, ended in self._ended.items():
            exchanges.add_metric(labels, ended.latency.count)
            by_task[labels[0]].append(ended)
        for task, some in by_task.items():
            tokens.add_metric((task, "prompt"), sum(ended.prompt_tokens for ended in some))
            tokens.add_metric((task, "output"), sum(ended.output_tokens for ended in some))
            times = _Times.of([ended.latency for ended in some])
            latency.add_metric([task], times.buckets(), times.total)
        overhead = HistogramMetricFamily(
            "preceptor_overhead_seconds",
            "Time in the gateway before a reply begins, waiting for upstreams excluded.",
            labels=[],
        )
        overhead.add_metric([], self._overhead.buckets(), self._overhead.total)
        left_out = CounterMetricFamily(
            "preceptor_rules_left_out",
            "Exchanges without the rules of their task, or without a part of them, by reason.",
            labels=["task", "why"],
        )
        for reason, count in self._left_out.items():
            left_out.add_metric(reason, count)
        return exchanges, tokens, latency, overhead, left_out, *self._by_model()

    def _by_model(self) -> Iterable[Metric]:
        labels = ["model", "upstream", "owner", "task"]
        requests = CounterMetricFamily(
            "preceptor_requests", "Exchanges by model, upstream, owner of the key (or the key) and HTTP status.",
            labels=[*labels, "code"],
        )  # fmt: skip
        cost = CounterMetricFamily("preceptor_cost_usd", "US dollars by the configured prices.", labels=labels)
        money: dict[tuple[str, str, str, str], float] = defaultdict(float)
        for (model, upstream, owner, task, code), served in self._served.items():
            requests.add_metric((model, upstream, owner, task, code), served.count)
            money[model, upstream, owner, task] += served.cost_usd
        for names, usd in money.items():
            cost.add_metric(names, usd)
        first = HistogramMetricFamily(
            "preceptor_first_token_seconds", "Streams: time to the first event for the client.", labels=["model"]
        )
        for name, times in self._first_token.items():
            first.add_metric([name], times.buckets(), times.total)
        refused = CounterMetricFamily(
            "preceptor_refused", "Requests refused before a model was chosen, by HTTP status.", labels=["code"]
        )
        for status, count in self._refused.items():
            refused.add_metric([str(status)], count)
        return requests, cost, first, refused


class _Ended:
    """Numbers of the exchanges with the same task, arm and status: a single look-up per exchange."""

    def __init__(self) -> None:
        self.prompt_tokens = 0
        self.output_tokens = 0
        self.latency = _Times(_LATENCY_S)


class _Served:
    """Numbers of the exchanges with the same model, upstream, owner, task and status."""

    __slots__ = ("cost_usd", "count")

    def __init__(self) -> None:
        self.count = 0
        self.cost_usd = 0.0


class _Times:
    """A histogram of times in seconds."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    @classmethod
    def of(cls, parts: Sequence["_Times"]) -> Self:
        """Return the sum of histograms with the same bounds."""
        summed = cls(parts[0]._bounds)
        summed._counts = [sum(counts) for counts in zip(*(part._counts for part in parts), strict=True)]
        summed.total = sum(part.total for part in parts)
        return summed

    @property
    def count(self) -> int:
        return sum(self._counts)

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Return the upper bounds, ``+Inf`` last, each with the number of times at or below it."""
        buckets: list[tuple[str, float]] = []
        below = 0
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            below += count
            buckets.append((f"{bound}" if bound != float("inf") else "+Inf", below))
        return buckets
