"""``GET /admin/upstreams``: the state of every upstream. Asks none of them: ``preceptor check --connect`` does."""

from typing import Any

from litestar import get
from litestar.di import NamedDependency

from gateway.services import Services
from gateway.upstream.base import Upstream
from gateway.upstream.guarded import Guarded


@get("/upstreams")
async def list_upstreams(services: NamedDependency[Services]) -> dict[str, Any]:
    """List the upstreams with the reason why one is not ready, and the calls of this process."""
    sections = services.settings.upstreams
    return {
        "upstreams": [
            {"name": name, "kind": type(sections[name]).kind, **_state(upstream)}
            for name, upstream in services.serving.upstreams.items()
        ]
    }


def _state(upstream: Upstream) -> dict[str, Any]:
    why = upstream.ready()
    state: dict[str, Any] = {"ready": why is None, "why": why}
    if isinstance(upstream, Guarded):
        state |= {"in_flight": upstream.in_flight, "waiting": upstream.waiting, "failures_in_a_row": upstream.failures}
    return state
