"""The composition root: settings -> services -> Litestar, and the order in which everything opens and closes."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

from litestar import Litestar, asgi
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.types import Receive, Scope, Send

from gateway.api import failures
from gateway.api.chat import ChatCompletions
from gateway.api.feedback import give_feedback
from gateway.api.health import livez, metrics, readyz
from gateway.api.models import get_model, list_models
from gateway.completion import Completions
from gateway.modelfiles import resolve
from gateway.pipeline.classify import Classifier
from gateway.plugins import Plugin
from gateway.rules.watch import refresh, watch
from gateway.services import Services
from gateway.settings import Settings, models_dir
from gateway.store.base import Store
from gateway.store.writer import Writer
from gateway.upstream.base import Upstream
from gateway.upstream.http import HttpUpstream
from gateway.upstream.llamacpp import LlamaCppUpstream

_FLUSH_S = 5.0


def build_services(settings: Settings, store: Store) -> Services:
    """Everything a gateway is made of; nothing is opened yet. Raises ``PreceptorError`` for a missing model file."""
    upstreams = {name: build_upstream(name, settings) for name in settings.upstreams}
    services = Services(
        settings=settings,
        store=store,
        writer=Writer(store, spool=settings.server.data_dir / "spool.jsonl"),
        upstreams=upstreams,
        completions=Completions(upstreams, time.monotonic),
        classifier=Classifier(settings.tasks),
    )
    telemetry, writer = services.telemetry, services.writer
    telemetry.gauge("preceptor_writer_pending", "Exchanges waiting to be written.", lambda: writer.pending)
    telemetry.gauge("preceptor_writer_dropped", "Exchanges lost because the queue was full.", lambda: writer.dropped)
    return services


def build_upstream(name: str, settings: Settings) -> Upstream:
    """The upstream of one section of the configuration."""
    section = settings.upstreams[name]
    if section.kind == "openai":
        assert section.base_url is not None, "checked by settings"
        return HttpUpstream(name, section, base_url=section.base_url, api_key=section.api_key)
    files = {model: resolve(model, models_dir()) for model in llamacpp_models(name, settings)}
    return LlamaCppUpstream(
        name, section, files, lambda url, key: HttpUpstream(name, section, base_url=url, api_key=key)
    )


def llamacpp_models(upstream: str, settings: Settings) -> set[str]:
    """The model files that an embedded upstream serves, as the configuration names them."""
    return {model.model for model in settings.models.values() if model.upstream == upstream}


@contextlib.asynccontextmanager
async def running(services: Services, plugins: Sequence[Plugin] = ()) -> AsyncIterator[None]:
    """Open everything in order, close it in reverse. What is still queued for the store is written at the end."""
    async with contextlib.AsyncExitStack() as stack:
        services.writer.start()
        stack.push_async_callback(asyncio.to_thread, services.writer.close, _FLUSH_S)
        await asyncio.to_thread(refresh, services.store, services.rules)
        for upstream in services.upstreams.values():
            stack.push_async_callback(upstream.aclose)
            await upstream.open()
        watcher = asyncio.create_task(watch(services.store, services.rules))
        stack.push_async_callback(_cancelled, watcher)
        for plugin in plugins:
            await stack.enter_async_context(plugin.lifespan(services))
        yield


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def build_app(services: Services, plugins: Sequence[Plugin] = ()) -> Litestar:
    """The HTTP application. Opens the services when it starts."""
    chat = ChatCompletions(services)

    @asgi("/v1/chat/completions", copy_scope=False)
    async def chat_completions(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == ScopeType.HTTP, "uvicorn runs without websockets"
        await chat(scope, receive, send)

    def lifespan(app: Litestar) -> AbstractAsyncContextManager[None]:
        return running(services, plugins)

    return Litestar(
        route_handlers=[chat_completions, list_models, get_model, give_feedback, livez, readyz, metrics],
        lifespan=[lifespan],
        dependencies={"services": Provide(lambda: services, sync_to_thread=False)},
        exception_handlers={Exception: failures.on_error},
        openapi_config=None,
        logging_config=None,
    )
