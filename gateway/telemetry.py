"""The metrics, updated where things happen and served at ``/metrics`` in Prometheus' text format.

One registry per gateway, so that tests and two gateways in one process do not share counts.
"""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from gateway.domain import Exchange

_LATENCY_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_OVERHEAD_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25)


class Telemetry:
    """Every metric of the gateway. Label ``task`` is empty where no task was recognised."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._exchanges = Counter(
            "preceptor_exchanges", "Exchanges by how they ended.", ["task", "arm", "status"], registry=self.registry
        )
        self._tokens = Counter(
            "preceptor_tokens", "Tokens that upstreams reported.", ["task", "direction"], registry=self.registry
        )
        self._latency = Histogram(
            "preceptor_latency_seconds", "Whole exchanges.", ["task"], buckets=_LATENCY_S, registry=self.registry
        )
        self._overhead = Histogram(
            "preceptor_overhead_seconds", "Time in the gateway before a reply begins, waiting for upstreams excluded.",
            buckets=_OVERHEAD_S, registry=self.registry,
        )  # fmt: skip
        self._upstream_events = Counter(
            "preceptor_upstream_events",
            "Further attempts (retry), rests after failures (resting) and their ends (recovered).",
            ["upstream", "event"], registry=self.registry,
        )  # fmt: skip
        self._upstream_calls = Gauge(
            "preceptor_upstream_calls", "Calls under way, and calls that wait for their turn.", ["upstream", "state"],
            registry=self.registry,
        )  # fmt: skip
        self._rules = Gauge("preceptor_rules_version", "Active rule set; 0 for none.", ["task"], registry=self.registry)

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A gauge whose value is read when the metrics are."""
        Gauge(name, text, registry=self.registry).set_function(read)

    def exchange(self, exchange: Exchange, overhead_s: float) -> None:
        """Count one exchange that has ended."""
        task = exchange.task or ""
        self._exchanges.labels(task, exchange.arm, exchange.status).inc()
        self._tokens.labels(task, "prompt").inc(exchange.usage.prompt_tokens)
        self._tokens.labels(task, "output").inc(exchange.usage.output_tokens)
        self._latency.labels(task).observe(exchange.latency_ms / 1000)
        self._overhead.observe(overhead_s)

    def upstream_event(self, upstream: str, event: str) -> None:
        self._upstream_events.labels(upstream, event).inc()

    def upstream_calls(self, upstream: str, *, in_flight: int, waiting: int) -> None:
        self._upstream_calls.labels(upstream, "in_flight").set(in_flight)
        self._upstream_calls.labels(upstream, "waiting").set(waiting)

    def rules(self, task: str, version: int) -> None:
        self._rules.labels(task).set(version)

    def text(self) -> bytes:
        return generate_latest(self.registry)
