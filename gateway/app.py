"""The composition root: settings -> services -> Litestar, and the order in which everything opens and closes."""

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import uuid4

from litestar import Litestar, asgi
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from gateway import logs
from gateway.api import azure, failures
from gateway.api.admin import admin
from gateway.api.cors import answer_preflight, is_preflight, with_permission
from gateway.api.endpoint import Endpoint
from gateway.api.feedback import give_feedback
from gateway.api.gate import admit, check_origin, check_port, refuse
from gateway.api.health import livez, metrics, readyz, welcome
from gateway.api.messages import Messages, TokenCount
from gateway.api.models import MODELS, get_model, is_foreign, list_models
from gateway.api.ollama import NativeEmbeddings, NativeEndpoint
from gateway.api.ollama_catalog import native_ps, native_show, native_tags, native_version
from gateway.api.passthrough import OTHER_METHODS, PassThrough, passes_through
from gateway.api.responses import Responses
from gateway.background import Background
from gateway.completion import Completions
from gateway.errors import PreceptorError
from gateway.following import Follower
from gateway.formats import allowed_fields
from gateway.formats.chat import open_chat
from gateway.formats.plain import open_embeddings, open_text
from gateway.metrics.spans import Tracer, sender
from gateway.metrics.telemetry import Telemetry
from gateway.plugins import Plugin
from gateway.quotas.cells import Cells
from gateway.quotas.replicas import replicas_of
from gateway.reload import Reloader
from gateway.routing.classify import Classifier
from gateway.services import Services, Serving
from gateway.settings import AnthropicSettings, LlamaCppSettings, OllamaSettings, Settings, models_dir
from gateway.spending.keeping import Spending
from gateway.store.base import Recorder, Store
from gateway.store.notes import FORGOTTEN
from gateway.store.retention import Keeping, Retention
from gateway.store.spool import SPOOL
from gateway.store.writer import Writer
from gateway.upstream.adapted import AdaptedUpstream
from gateway.upstream.anthropic import AnthropicUpstream
from gateway.upstream.base import Upstream
from gateway.upstream.guarded import Guarded
from gateway.upstream.http import HttpUpstream
from gateway.upstream.llamacpp import LlamaCppUpstream
from gateway.upstream.model_files import resolve
from gateway.upstream.quirk_memory import QuirkMemory, server_digest
from gateway.upstream.responding import RespondingUpstream

log = logging.getLogger(__name__)

_FOLLOW_PAUSES_S = (0.5, 5.0)
"""A roll-back must take effect soon after the store can be read again."""


def build_services(
    settings: Settings, store: Store, recorder: Recorder | None = None, cells: Cells | None = None
) -> Services:
    """Build the parts of a gateway without opening any. Without a recorder, a thread of this process records.

    Raises ``PreceptorError`` for a missing model file.
    """
    telemetry = Telemetry()
    quirks = QuirkMemory(time.time)
    services = Services(
        serving=build_serving(settings, telemetry, quirks),
        store=store,
        writer=recorder or Writer(store, spool=settings.server.data_dir / SPOOL),
        telemetry=telemetry,
        quirks=quirks,
        cells=cells,
        replicas=replicas_of(settings.server.counters, settings.server.counters_fail, uuid4().hex),
        background=Background(observe=telemetry.background_loop),
    )
    quirks.configure(settings)
    telemetry.registry.register(services.quotas)
    replicas = services.replicas
    if replicas is not None:
        telemetry.gauge("preceptor_counters_away", "1 while the counters do not answer.", lambda: float(replicas.away))
    services.on_reload.append(lambda: quirks.configure(services.settings))
    tracing = settings.tracing
    if tracing.endpoint is not None:
        services.tracer = tracer = Tracer(sender(tracing.endpoint, tracing.headers), share=tracing.share)
        telemetry.gauge("preceptor_spans_dropped", "Spans that no collector took.", lambda: tracer.dropped)
    services.request_log.as_text = logs.is_text(settings.log.format)
    log = services.request_log
    telemetry.gauge("preceptor_log_dropped", "Requests without a line in the log.", lambda: log.dropped)
    writer = services.writer
    telemetry.gauge("preceptor_writer_pending", "Exchanges waiting to be written.", lambda: writer.pending)
    telemetry.gauge("preceptor_writer_dropped", "Exchanges lost because the queue was full.", lambda: writer.dropped)
    return services


def build_serving(settings: Settings, telemetry: Telemetry, quirks: QuirkMemory, old: Serving | None = None) -> Serving:
    """Build everything that depends on the configuration. Unchanged upstreams of ``old`` are kept.

    Raises ``PreceptorError`` for a missing model file.
    """
    upstreams = {
        name: old.upstreams[name]
        if old and _unchanged(name, settings, old.settings)
        else Guarded(
            RespondingUpstream(
                AdaptedUpstream(build_upstream(name, settings), name, server_digest(settings.upstreams[name]), quirks),
                name,
                settings.upstreams[name],
            ),
            name,
            settings.upstreams[name],
            observe=functools.partial(telemetry.upstream_event, name),
        )
        for name in settings.upstreams
    }
    return Serving(
        settings=settings,
        upstreams=upstreams,
        completions=Completions(upstreams, time.monotonic),
        classifier=Classifier(settings.tasks),
    )


def _unchanged(name: str, new: Settings, old: Settings) -> bool:
    section = new.upstreams[name]
    return section == old.upstreams.get(name) and (
        not isinstance(section, LlamaCppSettings) or llamacpp_models(name, new) == llamacpp_models(name, old)
    )


def build_upstream(name: str, settings: Settings) -> Upstream:
    """The upstream of one section of the configuration."""
    section = settings.upstreams[name]
    if isinstance(section, LlamaCppSettings):
        files = {model: resolve(model, models_dir()) for model in llamacpp_models(name, settings)}
        return LlamaCppUpstream(name, section, files, lambda url, key: HttpUpstream(name, section, url, api_key=key))
    if isinstance(section, OllamaSettings):
        # Its package brings pydantic: memory and start-up time that no other kind needs.
        from gateway.upstream.ollama import OllamaUpstream

        return OllamaUpstream(name, section)
    if isinstance(section, AnthropicSettings):
        return AnthropicUpstream(name, section)
    return HttpUpstream.of(name, section, section.base_url)


def llamacpp_models(upstream: str, settings: Settings) -> set[str]:
    """The model files that an embedded upstream serves, as the configuration names them."""
    return {model.model for model in settings.models.values() if upstream in model.every_upstream}


@contextlib.contextmanager
def _news(store: str | None) -> Iterator[asyncio.Event]:
    """Yield an event that is set after every decision about rule sets on Postgres; on SQLite it never is."""
    news = asyncio.Event()
    if store is None:
        yield news
        return
    from gateway.store.listener import listening  # its driver is an extra

    loop = asyncio.get_running_loop()

    def heard() -> None:
        loop.call_soon_threadsafe(news.set)

    with listening(store, heard):
        yield news


@contextlib.asynccontextmanager
async def running(
    services: Services, plugins: Sequence[Plugin] = (), reloader: Reloader | None = None
) -> AsyncIterator[None]:
    """Open everything in order; close it in reverse. The recorder stores its queue last."""
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(services.writer.running(services.background))
        follower = Follower(services.store, services.rules, services.take_keys)
        await follower.start()
        spending = Spending(services.spending, services.quotas, services.replicas)
        await spending.step(services.store, services.money_clock())
        stack.push_async_callback(_store_the_rest, spending, services)
        await asyncio.to_thread(services.quirks.load, services.store, services.settings)
        stack.push_async_callback(_close_upstreams, services)
        for upstream in services.serving.upstreams.values():
            await upstream.open()
        background = services.background
        news = stack.enter_context(_news(services.settings.server.store))
        follow = functools.partial(follower.run, news=news)
        await stack.enter_async_context(background.running("rules.watch", follow, pauses_s=_FOLLOW_PAUSES_S))
        if services.replicas is not None:
            await stack.enter_async_context(services.replicas.running(background, lambda: services.quotas.meters))
        keep_spending = functools.partial(spending.keep, services.store, services.money_clock)
        await stack.enter_async_context(background.running("spending.keep", keep_spending, pauses_s=_FOLLOW_PAUSES_S))
        await stack.enter_async_context(background.running("store.retention", _retention(services).run))
        if services.tracer is not None:
            await stack.enter_async_context(background.running("tracing", services.tracer.run))
        await stack.enter_async_context(background.running("requests.log", services.request_log.run))
        keep_quirks = functools.partial(services.quirks.keep, services.store)
        await stack.enter_async_context(background.running("quirks.keep", keep_quirks))
        replies, forgotten = services.replies, functools.partial(services.store.note, FORGOTTEN.key())
        keep_replies = functools.partial(replies.run, forgotten, lambda: services.serving.kept_seconds)
        await stack.enter_async_context(background.running("replies.keep", keep_replies))
        if reloader is not None:
            await stack.enter_async_context(reloader.following())
        for plugin in plugins:
            await stack.enter_async_context(plugin.lifespan(services))
        yield


def _retention(services: Services) -> Retention:
    def keeping() -> Keeping:
        server = services.settings.server
        return Keeping(days=server.retention_days, gigabytes=server.max_store_gb)

    retention = Retention(
        services.store, keeping, services.wall_clock, others=services.on_retention, deleted=services.telemetry.deleted
    )
    services.telemetry.gauge(
        "preceptor_store_bytes", "Size of the database, once a minute.", lambda: float(retention.bytes)
    )
    return retention


async def _store_the_rest(spending: Spending, services: Services) -> None:
    """Store the last spending; without the store it is lost, as the log says."""
    try:
        await spending.step(services.store, services.money_clock())
    except PreceptorError as error:
        log.warning("the last spending is lost: %s", error, extra={"action": "spending.lost"})


async def _close_upstreams(services: Services) -> None:
    """Close the current upstreams; a reload may have replaced the first ones."""
    for upstream in services.serving.upstreams.values():
        await upstream.aclose()


class Application:
    """The whole HTTP application behind the gate: endpoints for models directly, all other paths by Litestar.

    Litestar's routing and middleware cost 12 us of CPU per request, a quarter of the gateway's own share
    (``tests.bench.gateway``).
    """

    def __init__(
        self, services: Services, endpoints: Mapping[str, Endpoint], pass_through: PassThrough, rest: Litestar
    ) -> None:
        self._services = services
        self._pass_through = pass_through
        self.rest = rest
        self.endpoints = endpoints
        self._admin_port = services.settings.server.admin_port
        self._by_path = {**endpoints, **{f"{path}/": endpoint for path, endpoint in endpoints.items()}}

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        if scope["type"] != "lifespan":
            if scope["path"].startswith(azure.PREFIXES):
                azure.place(scope)
            try:
                if self._admin_port is not None:
                    check_port(scope, self._admin_port)
                origin = check_origin(scope, self._services)
                if origin is not None:
                    send = with_permission(send, origin)
                    if is_preflight(scope):
                        return answer_preflight(scope, send)
                admit(scope, self._services)
            except PreceptorError as error:
                self._services.telemetry.refused(error.status)
                return refuse(error, scope, send)
        path = scope.get("path")
        endpoint = self._by_path.get(path)
        if endpoint is None:
            foreign = path is not None and path.startswith(MODELS) and is_foreign(scope, self._services)
            return (self._pass_through if foreign else self.rest)(scope, receive, send)
        if scope["method"] in OTHER_METHODS and passes_through(scope, self._services.settings):
            return self._pass_through(scope, receive, send)
        return endpoint(scope, receive, send)


def _mounts(services: Services, plugins: Sequence[Plugin]) -> Mapping[str, ASGIApp]:
    return {path: app for plugin in plugins for path, app in plugin.mounts(services).items()}


def build_app(services: Services, plugins: Sequence[Plugin] = (), reloader: Reloader | None = None) -> Application:
    """Return the HTTP application. It opens the services at its start."""
    pass_through = PassThrough(services)

    @asgi("/v1", is_mount=True, copy_scope=False)
    async def everything_else(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == ScopeType.HTTP, "uvicorn runs without websockets"
        await pass_through(scope, receive, send)

    def lifespan(app: Litestar) -> AbstractAsyncContextManager[None]:
        return running(services, plugins, reloader)

    endpoints = {
        "/v1/chat/completions": Endpoint(services, open_chat, fields=allowed_fields.CHAT, prefix="chatcmpl-"),
        "/v1/completions": Endpoint(services, open_text, fields=allowed_fields.TEXT, prefix="cmpl-"),
        "/v1/embeddings": Endpoint(
            services, open_embeddings, fields=allowed_fields.EMBEDDINGS, prefix="emb-", numbers=False
        ),
        "/v1/responses": Responses(services),
        "/v1/messages": Messages(services),
        "/v1/messages/count_tokens": TokenCount(services),
        "/api/chat": NativeEndpoint(services, "messages"),
        "/api/generate": NativeEndpoint(services, "prompt"),
        "/api/embed": NativeEmbeddings(services),
        "/api/embeddings": NativeEmbeddings(services, old=True),
    }
    mounted = [asgi(path, is_mount=True, copy_scope=False)(app) for path, app in _mounts(services, plugins).items()]
    rest = Litestar(
        route_handlers=[
            *mounted,
            everything_else,
            list_models,
            get_model,
            give_feedback,
            native_ps,
            native_show,
            native_tags,
            native_version,
            welcome,
            livez,
            readyz,
            metrics,
            admin(services),
        ],
        lifespan=[lifespan],
        dependencies={"services": Provide(lambda: services, sync_to_thread=False)},
        exception_handlers={Exception: failures.on_error},
        openapi_config=None,
        logging_config=None,
    )
    return Application(services, endpoints, pass_through, rest)
