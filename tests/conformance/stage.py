"""A loop in a thread of its own, on which servers stay up while blocking clients speak to them."""

import asyncio
import contextlib
import dataclasses
import re
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from gateway.app import build_serving
from gateway.domain import Exchange
from gateway.services import Services
from tests import fakes

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
SERVES = re.compile(r"serves (\S+/v1) ")

CONFIG = """
[server]
port = 0
{default}
[upstreams.mock]
kind = "{kind}"
base_url = "{url}"
api_key = "sk-upstream"
retries = {retries}
breaker_failures = 1000000
{upstream}
[models.small]
upstream = "mock"
model = "tiny-1b"
[models.large]
upstream = "mock"
model = "huge-1t"
[tasks.arithmetic]
match = {{ model = "{match}" }}
weak = "small"
strong = "large"
[optimizer]
enabled = false
"""


class Stage:
    """Holds asynchronous contexts open until it is left."""

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def open(self, context: AbstractAsyncContextManager[T]) -> T:
        """Enter a context; it is left with the stage."""
        return asyncio.run_coroutine_threadsafe(self._stack.enter_async_context(context), self._loop).result(30)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            asyncio.run_coroutine_threadsafe(self._stack.aclose(), self._loop).result(30)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


def config(
    url: str,
    *,
    passes_through: bool = True,
    retries: int = 0,
    upstream: str = "",
    kind: str = "openai",
    match: str = "gpt-4o-mini",
) -> str:
    """A configuration over the scripted upstream; ``upstream`` are more lines of its section.

    ``match`` is the model by which the task is recognised.

    The gateway's own retries are off, so that each request of a client is one to the upstream.
    """
    return CONFIG.format(
        url=url,
        retries=retries,
        kind=kind,
        upstream=upstream,
        match=match,
        default='default_upstream = "mock"' if passes_through else "max_body_mb = 20",
    )


@dataclasses.dataclass(frozen=True)
class Running:
    """A gateway under way; ``url`` ends in ``/v1``."""

    url: str
    services: Services

    def recorded(self, exchange_id: str) -> Exchange:
        """The record of an exchange, which may come a moment after its reply; 5 seconds at most."""
        deadline = time.monotonic() + 5
        while (found := self.services.store.exchange(exchange_id)) is None:
            assert time.monotonic() < deadline, f"{exchange_id} was not recorded"
            time.sleep(0.005)
        return found


@contextlib.asynccontextmanager
async def running(text: str) -> AsyncIterator[Running]:
    """A gateway as the application builds it from a configuration, over a store in memory."""
    settings = fakes.settings(text)
    made = fakes.services(settings, {})
    made.serving = build_serving(settings, made.telemetry, made.quirks)
    async with fakes.gateway(made) as url:
        yield Running(f"{url}/v1", made)


@contextlib.contextmanager
def deployed(text: str, folder: Path) -> Iterator[str]:
    """A gateway started through the command line, as a process of its own; yields its base URL with ``/v1``."""
    file, log = folder / "preceptor.toml", folder / "stderr"
    file.write_text(text.replace("[server]", f'[server]\ndata_dir = "{folder}"'))
    command = [sys.executable, "-m", "gateway", "serve", "-c", str(file)]
    with log.open("wb") as stderr, subprocess.Popen(command, cwd=ROOT, stderr=stderr) as process:  # noqa: S603
        try:
            while not (said := SERVES.search(log.read_text())):
                assert process.poll() is None, log.read_text()
                time.sleep(0.02)
            yield said[1]
        finally:
            process.terminate()
            process.wait(20)
