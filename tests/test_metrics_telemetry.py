"""The metrics: counted once per exchange, separate per gateway."""

from gateway.domain import Exchange, Usage
from gateway.metrics.telemetry import Telemetry
from tests.fakes import asked


def exchange(**changes: object) -> Exchange:
    given: dict[str, object] = {
        "id": "a", "created": 0.0, "task": "arithmetic", "client_model": "m", "model": "small", "arm": "weak",
        "rules": 1, "stream": False, "status": "ok", "http_status": 200, "latency_ms": 1500.0,
        "usage": Usage(prompt_tokens=7, output_tokens=3), "request": str(asked()).encode(), **changes,
    }  # fmt: skip
    return Exchange(**given)  # type: ignore[arg-type]  # each test knows what it changes


def test_an_exchange_counts_once_everywhere() -> None:
    """Its end, its tokens, its time in seconds, and the gateway's own share of it."""
    telemetry = Telemetry()
    telemetry.exchange(exchange(), 0.0004)
    telemetry.exchange(exchange(status="abandoned"), 0.0004)
    text = telemetry.text().decode()
    for line in (
        'preceptor_exchanges_total{arm="weak",status="ok",task="arithmetic"} 1.0',
        'preceptor_exchanges_total{arm="weak",status="abandoned",task="arithmetic"} 1.0',
        'preceptor_tokens_total{direction="prompt",task="arithmetic"} 14.0',
        'preceptor_tokens_total{direction="output",task="arithmetic"} 6.0',
        'preceptor_latency_seconds_sum{task="arithmetic"} 3.0',
        'preceptor_latency_seconds_bucket{le="1.0",task="arithmetic"} 0.0',
        'preceptor_overhead_seconds_bucket{le="0.0005"} 2.0',
    ):
        assert line in text


def test_an_exchange_without_a_task_has_an_empty_label() -> None:
    """So that a name which a client made up never becomes a label."""
    telemetry = Telemetry()
    telemetry.exchange(exchange(task=None, model="whatever the client said"), 0)
    text = telemetry.text().decode()
    assert 'task=""' in text
    assert "whatever" not in text


def test_a_background_loop_shows_whether_it_runs_and_how_often_it_failed() -> None:
    """The count is there from the first start on: a rate needs a zero to begin with."""
    telemetry = Telemetry()
    telemetry.background_loop("rules.watch", "running")
    fresh = telemetry.text().decode()
    telemetry.background_loop("rules.watch", "failed")
    failed = telemetry.text().decode()
    assert 'preceptor_background_running{loop="rules.watch"} 1.0' in fresh
    assert 'preceptor_background_failures_total{loop="rules.watch"} 0.0' in fresh
    assert 'preceptor_background_running{loop="rules.watch"} 0.0' in failed
    assert 'preceptor_background_failures_total{loop="rules.watch"} 1.0' in failed


def test_a_gauge_is_read_when_the_metrics_are() -> None:
    """Its value is not a copy."""
    telemetry = Telemetry()
    waiting = [1]
    telemetry.gauge("preceptor_test", "A test.", lambda: len(waiting))
    waiting.append(2)
    assert b"preceptor_test 2.0" in telemetry.text()


def test_two_gateways_share_no_counts() -> None:
    """Each has a registry of its own."""
    first, second = Telemetry(), Telemetry()
    first.exchange(exchange(), 0)
    assert b"preceptor_exchanges_total{" not in second.text()


def test_the_live_rule_set_shows() -> None:
    """The version, 0 for none."""
    telemetry = Telemetry()
    telemetry.rules("arithmetic", 3)
    telemetry.rules("arithmetic", 0)
    assert b'preceptor_rules_version{task="arithmetic"} 0.0' in telemetry.text()


def test_what_happens_to_upstreams_is_counted() -> None:
    """Attempts that were repeated and rests, by upstream; calls under way and waiting as they are now."""
    telemetry = Telemetry()
    telemetry.upstream_event("mock", "retry")
    telemetry.upstream_event("mock", "retry")
    telemetry.upstream_calls("mock", in_flight=3, waiting=1)
    text = telemetry.text().decode()
    assert 'preceptor_upstream_events_total{event="retry",upstream="mock"} 2.0' in text
    assert 'preceptor_upstream_calls{state="in_flight",upstream="mock"} 3.0' in text
