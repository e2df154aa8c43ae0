"""``kind = "llamacpp"``: a child process per model file, started, watched and started again when it dies.

Only supervises. The child (``upstream.llamacpp_child``) speaks HTTP on the loopback address like any other server, so
calls go through the upstream that ``connect`` makes for its address and key.
"""

import asyncio
import contextlib
import logging
import os
import re
import secrets
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from gateway.child_process import ended
from gateway.errors import ConfigurationError, ModelNotFound, UpstreamTimeout, UpstreamUnreachable
from gateway.settings import LlamaCppSettings, child_environment
from gateway.upstream.base import Call, Upstream, UpstreamReply
from gateway.upstream.llamacpp_child import ChildAddress, ModelParameters

log = logging.getLogger(__name__)

Connect = Callable[[str, str], Upstream]
"""Makes the upstream for a base URL (up to and including ``/v1``) and an API key."""

CHILD: Sequence[str] = (sys.executable, "-P", "-m", "gateway.upstream.llamacpp_child")

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_STEADY_S = 30.0
"""Seconds of service after which a child's death is the first in a row again."""
_HOPELESS = 3
"""Deaths in a row after which calls fail at once instead of waiting for the next start."""
_STOP_S = 5.0
"""Between SIGTERM and SIGKILL."""
_LOG_BYTES = 4096
"""The kept end of a child's stderr, for the message when it dies."""
_LOG_LINE = re.compile(r"\d+\.\d+\.\d+\.\d+ [A-Z] ")
"""The beginning of a line of llama.cpp's own log: another thread writes it, perhaps after the child's last line."""


class LlamaCppUpstream:
    """The embedded model server. Implements ``upstream.base.Upstream``."""

    def __init__(
        self,
        name: str,
        settings: LlamaCppSettings,
        models: Mapping[str, Path],
        connect: Connect,
        *,
        command: Sequence[str] = CHILD,
        new_key: Callable[[], str] = secrets.token_urlsafe,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``models`` maps the model names of calls to files. The rest is for tests; times are in seconds."""
        self._name = name
        self._limit_s = settings.first_byte_timeout_s
        children = {
            path: _Child(path, settings, connect, command, new_key, clock, pause) for path in set(models.values())
        }
        self._children = {model: children[path] for model, path in models.items()}
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Start the children. Raises ``ConfigurationError`` if a model file is missing, before anything is started."""
        children = set(self._children.values())
        missing = sorted(str(child.path) for child in children if not child.path.is_file())
        if missing:
            raise ConfigurationError(f"upstreams.{self._name}", [f"there is no model file {path}" for path in missing])
        self._tasks = [asyncio.create_task(child.supervise()) for child in children]

    async def send(self, call: Call) -> UpstreamReply:
        """Wait until the model's child serves, then hand the call on.

        Raises ``ModelNotFound``; ``UpstreamTimeout`` for a child not ready within the time for the first byte;
        ``UpstreamUnreachable`` for a child that dies again and again.
        """
        child = self._children.get(call.model)
        if child is None:
            raise ModelNotFound(call.model)
        try:
            async with asyncio.timeout(self._limit_s):
                await child.settled.wait()
        except TimeoutError as error:
            raise UpstreamTimeout(
                f"upstream {self._name!r} was not ready within {self._limit_s:g} s: {child.path.name} {child.why}"
            ) from error
        if child.upstream is None:
            raise UpstreamUnreachable(f"upstream {self._name!r} cannot be used: {child.path.name} {child.why}")
        return await child.upstream.send(call)

    def ready(self) -> str | None:
        waiting = {f"{child.path.name} {child.why}" for child in self._children.values() if child.upstream is None}
        return "; ".join(sorted(waiting)) or None

    async def aclose(self) -> None:
        """End every child: SIGTERM, and SIGKILL five seconds later."""
        for child in self._children.values():
            child.wanted = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class _Child:
    """The process of one model, through all its lives."""

    def __init__(
        self,
        path: Path,
        settings: LlamaCppSettings,
        connect: Connect,
        command: Sequence[str],
        new_key: Callable[[], str],
        clock: Callable[[], float],
        pause: Callable[[float], Awaitable[None]],
    ) -> None:
        self.path = path
        self.upstream: Upstream | None = None
        """Set while the child serves."""
        self.why = "is loading"
        """The reason for a missing upstream, to be read after the file's name."""
        self.settled = asyncio.Event()
        """Set while waiting is pointless: the child serves, is hopeless, or was stopped."""
        self.wanted = True
        """``False`` from the order to stop on. A cancellation alone is not enough: ``asyncio.wait_for`` loses a
        cancellation that comes just when the child ends, as happens when both receive a signal."""
        self._settings = settings
        self._connect = connect
        self._command = command
        self._new_key = new_key
        self._clock = clock
        self._pause = pause
        self._deaths = 0

    async def supervise(self) -> None:
        """Keep the child alive until cancelled."""
        try:
            while self.wanted:
                self.why = await self._live()
                if not self.wanted:
                    break
                self._deaths += 1
                log.warning(
                    "%s %s", self.path.name, self.why, extra={"action": "llamacpp.died", "deaths": self._deaths}
                )
                if self._deaths >= _HOPELESS:
                    self.settled.set()
                await self._pause(min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(self._deaths - 1, 16)))
        finally:
            self.why = "was stopped"
            self.settled.set()

    async def _live(self) -> str:
        """Run a process from start to end and return the reason of its end. Cancelled, it ends the process first."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=child_environment()
            )
        except OSError as error:
            return f"could not be started: {error}"
        assert process.stderr is not None
        last_lines = asyncio.create_task(_last_lines(process.stderr))
        try:
            await self._serve(process)
        finally:
            await _end(process)
            lines = await last_lines
        for line in lines:
            log.info("%s", line, extra={"action": "llamacpp.log", "model": self.path.name})
        return _obituary(process.returncode or 0, lines)

    async def _serve(self, process: Process) -> None:
        """Send the child its parameters, connect to it, and stay until it ends."""
        assert process.stdin is not None and process.stdout is not None
        key = self._new_key()
        with contextlib.suppress(ConnectionError):  # it died at once; the end of stdout says so too
            process.stdin.write(msgspec.json.encode(self._parameters(key)) + b"\n")
            await process.stdin.drain()
        line = await process.stdout.readline()
        if not line:
            return
        child = msgspec.json.decode(line, type=ChildAddress)
        upstream = self._connect(f"{child.address}/v1", key)
        await upstream.open()
        since = self._clock()
        self.upstream = upstream
        self.settled.set()
        try:
            await process.wait()
        finally:
            self.upstream = None
            self.settled.clear()
            if self._clock() - since >= _STEADY_S:
                self._deaths = 0
            await upstream.aclose()

    def _parameters(self, key: str) -> ModelParameters:
        settings = self._settings
        return ModelParameters(
            model=str(self.path),
            alias=self.path.stem,
            api_key=key,
            threads=settings.threads or os.cpu_count() or 1,
            parallel=settings.parallel,
            context=settings.context,
        )


async def _end(process: Process) -> None:
    """End a process, by force after five seconds."""
    if process.returncode is None:
        # Not process.terminate(): it would reap a child that has just ended, and its exit status would be lost.
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
    await ended(process, _STOP_S)


async def _last_lines(stream: asyncio.StreamReader) -> list[str]:
    """Read to the end and return the last lines. Unread, a full pipe would block the child."""
    kept = b""
    while chunk := await stream.read(_LOG_BYTES):
        kept = (kept + chunk)[-_LOG_BYTES:]
    return [line.strip() for line in kept.decode(errors="replace").splitlines() if line.strip()]


def _obituary(returncode: int, lines: Sequence[str]) -> str:
    """Describe the end of a child from its exit status and its last lines."""
    if returncode < 0:
        how = f"was killed by {signal.Signals(-returncode).name}"
        return f"{how} (out of memory?)" if returncode == -signal.SIGKILL else how
    words = [line for line in lines if not _LOG_LINE.match(line)] or lines
    return f"died with status {returncode}: {words[-1]}" if words else f"died with status {returncode}"
