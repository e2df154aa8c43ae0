"""``/livez``, ``/readyz`` and ``/metrics``: what an orchestrator and a dashboard read."""

import asyncio

import httpx

from gateway.domain import Activation, Rule, RuleSet
from gateway.rules.live import refresh
from gateway.store.memory import MemoryStore
from tests.fakes import CONFIG, FakeUpstream, MoodyStore, asked, served

KEY = "0123456789abcdef"


class Waking(FakeUpstream):
    """An upstream that is not there yet."""

    def __init__(self) -> None:
        super().__init__(lambda body: "4")
        self.why: str | None = "the model is loading"

    def ready(self) -> str | None:
        return self.why


async def test_a_gateway_that_runs_is_alive_and_ready() -> None:
    """Both answer 200 without asking anybody."""
    async with served(FakeUpstream(lambda body: "4")) as gateway:
        alive, ready = await gateway.client.get("/livez"), await gateway.client.get("/readyz")
    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
    assert ready.status_code == 200
    assert ready.json() == {"status": "ok", "models": {}, "store": None, "background": {}}


async def test_a_visitor_learns_where_clients_go() -> None:
    """Without a word about this gateway."""
    async with served(FakeUpstream(lambda body: "4")) as gateway:
        page = await gateway.client.get("/")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/plain")
    assert "/v1" in page.text and "arithmetic" not in page.text


async def test_an_upstream_that_is_not_there_is_not_the_gateway_s_fault() -> None:
    """One provider's outage would take every gateway out of its load balancer; operators see it elsewhere."""
    upstream = Waking()
    text = CONFIG.replace("[server]", f'[server]\nadmin_key = "{KEY}"')
    async with served(upstream, text) as gateway:
        ready = await gateway.client.get("/readyz")
        listed = await gateway.client.get("/admin/upstreams", headers={"authorization": f"Bearer {KEY}"})
        refused = await gateway.client.get("/admin/upstreams")
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")
    state = {"name": "mock", "kind": "openai", "ready": False, "why": "the model is loading"}
    assert (listed.json(), refused.status_code) == ({"upstreams": [state]}, 401)


async def test_it_is_ready_once_its_embedded_model_was_there() -> None:
    """503 with the reason before that; a model that is started again later only degrades."""
    upstream = Waking()
    text = CONFIG.replace('kind = "openai"\nbase_url = "http://127.0.0.1:9/v1"', 'kind = "llamacpp"')
    async with served(upstream, text) as gateway:
        waiting, alive = await gateway.client.get("/readyz"), await gateway.client.get("/livez")
        upstream.why = None
        ready = await gateway.client.get("/readyz")
        upstream.why = "ended"
        degraded = await gateway.client.get("/readyz")
    assert (waiting.status_code, waiting.json()["models"]) == (503, {"mock": "the model is loading"})
    assert (waiting.json()["status"], alive.status_code) == ("starting", 200)
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")
    assert (degraded.status_code, degraded.json()["status"]) == (200, "degraded")


async def test_before_it_stops_it_serves_on_and_says_so() -> None:
    """Whoever asks about readiness turns to others; whoever has a connection is told to make another."""
    async with served(FakeUpstream(lambda body: "4")) as gateway:
        gateway.services.presence.leaving = True
        ready = await gateway.client.get("/readyz")
        reply = await gateway.client.post("/v1/chat/completions", json=asked())
    assert (ready.status_code, ready.json()["status"]) == (503, "leaving")
    assert reply.status_code == 200


async def test_a_load_balancer_may_ask_for_the_head_alone() -> None:
    """The same status and headers without the body, on a connection that can be used again."""
    async with served(FakeUpstream(lambda body: "4")) as gateway:
        gateway.services.presence.leaving = True
        for path, status in (("/livez", 200), ("/readyz", 503)):
            head, whole = await gateway.client.head(path), await gateway.client.get(path)
            assert (head.status_code, head.content) == (status, b"")
            assert _stated(head) == _stated(whole)


def _stated(reply: httpx.Response) -> tuple[str, str]:
    return reply.headers["content-type"], reply.headers["content-length"]


async def test_a_failing_store_degrades_it_only() -> None:
    """Requests pass, so it stays ready, says why it is degraded, and recovers by itself."""
    store = MoodyStore()
    async with served(FakeUpstream(lambda body: "4"), store=store) as gateway:
        store.down = True
        reply = await gateway.client.post("/v1/chat/completions", json=asked())
        await gateway.until(lambda: gateway.services.writer.error is not None)
        degraded = await gateway.client.get("/readyz")
        store.down = False
        await gateway.until(lambda: gateway.services.writer.error is None)
        ready = await gateway.client.get("/readyz")
    assert reply.status_code == 200
    assert (degraded.status_code, degraded.json()["status"]) == (200, "degraded")
    assert degraded.json()["store"] == "the database is away"
    assert ready.json()["status"] == "ok"


async def test_a_background_loop_that_fails_degrades_it_only() -> None:
    """Requests pass; the loop is named until it runs again."""
    started = asyncio.Event()

    async def broken() -> None:
        started.set()
        raise ValueError("an unreadable row")

    async with served(FakeUpstream(lambda body: "4")) as gateway:
        async with gateway.services.background.running("test.loop", broken, pauses_s=(60, 60)):
            await started.wait()
            await gateway.until(lambda: bool(gateway.services.background.failures))
            degraded = await gateway.client.get("/readyz")
        ready = await gateway.client.get("/readyz")
    assert (degraded.status_code, degraded.json()["status"]) == (200, "degraded")
    assert degraded.json()["background"] == {"test.loop": "ValueError"}
    assert ready.json()["status"] == "ok"


async def test_metrics_are_served_in_prometheus_text_format() -> None:
    """Exchanges, tokens and the live rule set of every task, with the version of the format in the content type."""
    store = MemoryStore()
    store.publish(RuleSet(task="arithmetic", rules=(Rule(text="Think."),)))
    async with served(FakeUpstream(lambda body: "4"), store=store) as gateway:
        await gateway.client.post("/v1/chat/completions", json=asked())
        before = await gateway.client.get("/metrics")
        store.activate(Activation(task="arithmetic", version=1, created=0, by="test"))
        refresh(store, gateway.services.rules)
        after = await gateway.client.get("/metrics")
    assert before.headers["content-type"].startswith("text/plain")
    assert 'preceptor_exchanges_total{arm="weak",status="ok",task="arithmetic"} 1.0' in before.text
    assert 'preceptor_tokens_total{direction="output",task="arithmetic"} 3.0' in before.text
    assert 'preceptor_rules_version{task="arithmetic"} 0.0' in before.text
    assert 'preceptor_rules_version{task="arithmetic"} 1.0' in after.text
