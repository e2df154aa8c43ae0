"""``/admin/upstreams``: what stands behind the gateway, for operators; health probes hear nothing of it."""

from gateway.api.admin_upstreams import _state
from gateway.settings import UpstreamLimits
from gateway.upstream.base import Call
from gateway.upstream.guarded import Guarded
from tests.fakes import FakeUpstream


async def test_calls_and_failures_of_an_upstream_are_told() -> None:
    """From the guard around it: calls under way, calls in the queue, failures in a row."""
    guarded = Guarded(FakeUpstream(lambda body: "4"), "mock", UpstreamLimits())
    idle = {"ready": True, "why": None, "in_flight": 0, "waiting": 0, "failures_in_a_row": 0}
    assert _state(guarded) == idle
    reply = await guarded.send(Call(model="x", body=b"{}", path="/chat/completions", stream=False))
    assert _state(guarded) == {**idle, "in_flight": 1}
    await reply.aclose()
    assert _state(guarded) == idle
