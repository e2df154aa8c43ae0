"""Reload of the configuration file: read and checked as a whole, swapped at once.

A change of the file, or of a file with a secret, is the reason, or SIGHUP. After a mistake the old configuration stays,
and the log says why. No reload takes the last client key away, or all limits of a key. Requests under way keep their
configuration; a removed upstream is closed after its last request.
"""

import asyncio
import contextlib
import functools
import hashlib
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec

from gateway.auth import Keyring
from gateway.errors import ConfigurationError, PreceptorError
from gateway.services import Services, Serving
from gateway.settings import Settings
from gateway.store import trail
from gateway.upstream.base import Upstream
from gateway.upstream.guarded import Guarded

log = logging.getLogger(__name__)

INTERVAL_S = 1.0
SETTLED_S = 0.5
"""Seconds without a change, after which a file counts as written completely."""
_MEANT = "stop the gateway and start it again if that is meant"
_NO_KEYS = f"has no client key any more, so that everybody with access to the port could use the gateway: {_MEANT}"
_NO_LIMITS = f"has neither tasks nor models for keys.%s any more, so that this key could use them all: {_MEANT}"
_BETWEEN_PASSES_S = 1.0
_AT_START_ONLY = (
    "host", "port", "admin_port", "data_dir", "store", "lame_duck_s", "drain_s", "workers", "counters",
    "counters_fail", "max_connections", "silence_timeout_s", "head_timeout_s", "body_timeout_s", "write_timeout_s",
    "keep_alive_s",
)  # fmt: skip

Build = Callable[[Settings, Serving], Serving]
"""Build the parts of a new configuration, with the unchanged upstreams of the old one."""


class Reloader:
    """Keeps services in line with a configuration file.

    ``read`` blocks and raises ``ConfigurationError``. ``sleep`` waits between two looks at a file under change.
    """

    def __init__(
        self,
        path: Path,
        read: Callable[[], Settings],
        services: Services,
        build: Build,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._path = path
        self._read = read
        self._services = services
        self._build = build
        self._sleep = sleep
        self._seen = self._fingerprint()
        self._retiring: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow the file while the context is open."""
        asked = asyncio.Event()
        with contextlib.suppress(ValueError, RuntimeError):  # signals are for the main thread only
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)
        await self._tell()
        try:
            async with self._services.background.running("reload", functools.partial(self._watch, asked)):
                yield
        finally:
            for task in self._retiring:
                task.cancel()
            await asyncio.gather(*self._retiring, return_exceptions=True)

    async def _watch(self, asked: asyncio.Event) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL_S):
                    await asked.wait()
            if asked.is_set() or self._fingerprint() != self._seen:
                asked.clear()
                self._seen = await self._settled()
                await self.reload()

    async def _settled(self) -> "_Fingerprint":
        """Wait until nothing has written to the file for ``SETTLED_S``; return its fingerprint.

        A writer may be in the middle: a file cut off before ``[keys]`` is valid, and would open the gateway.
        """
        seen = self._fingerprint()
        while True:
            await self._sleep(SETTLED_S)
            now = self._fingerprint()
            if now == seen:
                return seen
            seen = now

    async def reload(self) -> bool:
        """Read the configuration and put it into effect; ``False`` after a mistake: the old one stays."""
        services, old = self._services, self._services.serving
        try:
            settings = self._fixed(await asyncio.to_thread(self._read))
            if settings == old.settings:
                return True
            if opened := _opened(old.settings, settings):
                raise ConfigurationError(str(self._path), opened)
            new = self._build(settings, old)
            await _open([upstream for upstream in new.upstreams.values() if upstream not in old.upstreams.values()])
        except PreceptorError as error:
            log.error("the configuration stays as it was: %s", error, extra={"action": "reload.refused"})
            return False
        services.serving = new
        for call in services.on_reload:
            call()
        for upstream in old.upstreams.values():
            if upstream not in new.upstreams.values():
                task = asyncio.create_task(_retire(upstream))
                self._retiring.add(task)
                task.add_done_callback(self._retiring.discard)
        await self._tell()
        log.info("configuration in effect", extra={"action": "reload.done", "tasks": len(settings.tasks)})
        return True

    async def _tell(self) -> None:
        """Put the configuration in effect into the audit log, unless it is its last one."""
        services = self._services

        def tell() -> None:
            try:
                text = self._path.read_bytes()
            except OSError:
                return  # an editor may be replacing it: the next reload tells
            digest = hashlib.sha256(text).hexdigest()
            trail.configured(
                services.store, digest, at=services.wall_clock(), by="gateway", source=str(self._path.name)
            )

        await asyncio.to_thread(tell)

    def _fixed(self, settings: Settings) -> Settings:
        """Return the settings with the current values of those read at the start only."""
        now = self._services.settings.server
        kept = {name: getattr(now, name) for name in _AT_START_ONLY}
        changed = [f"server.{name}" for name, value in kept.items() if getattr(settings.server, name) != value]
        if changed:
            log.warning("%s: in effect at the next start", ", ".join(changed), extra={"action": "reload.partly"})
        return msgspec.structs.replace(settings, server=msgspec.structs.replace(settings.server, **kept))

    def _fingerprint(self) -> "_Fingerprint":
        return tuple(map(_state_of, (self._path, *self._services.settings.secret_files)))


_Fingerprint = tuple[tuple[int, int, int] | None, ...]


def _state_of(path: Path) -> tuple[int, int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None  # an editor may be replacing it
    return state.st_mtime_ns, state.st_size, state.st_ino


def _opened(old: Settings, new: Settings) -> list[str]:
    """Return what a configuration would open to more people: a file cut off at a line's end is valid, too."""
    if old.keys and not new.keys:
        return [_NO_KEYS]
    was = {holder.name for holder in Keyring(old.keys).holders if holder.limited}
    now = {holder.name for holder in Keyring(new.keys).holders if not holder.limited}
    return [_NO_LIMITS % name for name in sorted(was & now)]


async def _open(upstreams: list[Upstream]) -> None:
    """Open all upstreams or none. Raises ``ConfigurationError``."""
    async with contextlib.AsyncExitStack() as stack:
        for upstream in upstreams:
            stack.push_async_callback(upstream.aclose)
            await upstream.open()
        stack.pop_all()


async def _retire(upstream: Upstream) -> None:
    """Close an upstream after its last request, or when the gateway stops."""
    try:
        while isinstance(upstream, Guarded) and upstream.in_flight:
            await upstream.idle()
            # Between its two passes, an exchange has no call under way.
            await asyncio.sleep(_BETWEEN_PASSES_S)
    finally:
        await upstream.aclose()
