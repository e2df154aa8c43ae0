"""``/livez``, ``/readyz`` and ``/metrics``."""

import asyncio
from typing import Any, Final

from litestar import HttpMethod, MediaType, Response, get, route
from litestar.di import NamedDependency

from gateway.metrics.worker_counts import families
from gateway.services import Services
from gateway.settings import LlamaCppSettings
from gateway.upstream.guarded import Guarded

_METHODS: Final = [HttpMethod.GET, HttpMethod.HEAD]
"""Many load balancers send HEAD."""
_WELCOME = """\
This is Preceptor, an OpenAI-compatible gateway.

Point a client at this address with /v1 behind it: OPENAI_BASE_URL, or base_url in OpenAI's client.
GET /v1/models lists the models, POST /v1/chat/completions asks one, POST /v1/feedback tells about a reply.
GET /livez and GET /readyz tell whether it runs; GET /metrics is for Prometheus.
"""


@route("/", http_method=_METHODS, media_type=MediaType.TEXT)
async def welcome() -> str:
    """Tell a visitor where clients go. Says nothing about this gateway."""
    return _WELCOME


@route("/livez", http_method=_METHODS)
async def livez() -> dict[str, str]:
    """Answer 200: the event loop runs."""
    return {"status": "ok"}


@route("/readyz", http_method=_METHODS)
async def readyz(services: NamedDependency[Services]) -> Response[dict[str, Any]]:
    """Answer 200 while this gateway serves; 503 until its embedded models are loaded, and when it is about to stop.

    Upstreams elsewhere have no part in it (``/admin/upstreams``): the outage of one provider would take every
    gateway out of its load balancer. A failing database or background loop only degrades.
    """
    sections, upstreams = services.settings.upstreams, services.serving.upstreams
    embedded = [name for name, section in sections.items() if isinstance(section, LlamaCppSettings)]
    loads = {name: why for name in embedded if (why := upstreams[name].ready()) is not None}
    failures = dict(services.background.failures)
    phase = services.presence.asked(loads=bool(loads))
    status: str = phase
    if phase == "serving":
        status = "degraded" if services.writer.error is not None or failures or loads else "ok"
    state = {"status": status, "models": loads, "store": services.writer.error, "background": failures}
    return Response(state, status_code=200 if phase == "serving" else 503)


@get("/metrics", media_type=MediaType.TEXT)
async def metrics(services: NamedDependency[Services]) -> bytes:
    """Return the metrics of all workers in Prometheus' text format."""
    update_gauges(services)
    telemetry = services.telemetry
    if telemetry.counts is None:
        return telemetry.text()
    return await asyncio.to_thread(telemetry.counts.total, families(telemetry.registry.collect()))


def update_gauges(services: Services) -> None:
    """Set the gauges that nothing updates between two scrapes: active rule sets, calls under way."""
    for task in services.settings.tasks:
        split = services.rules.current.splits.get(task)
        services.telemetry.rules(task, split.live.rule_set.version if split and split.live else 0)
    for name, upstream in services.serving.upstreams.items():
        if isinstance(upstream, Guarded):
            services.telemetry.upstream_calls(name, in_flight=upstream.in_flight, waiting=upstream.waiting)
