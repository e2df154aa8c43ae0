"""The demo, scene by scene: a gateway of its own, traffic through a client, a scheduled cycle, a swap under a running
client, and a second measurement on untouched problems."""

import asyncio
import contextlib
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import msgspec

from gateway.domain import CycleRecord, RuleSet, Value
from gateway.errors import PreceptorError
from gateway.store.base import Store
from optimizer.demo.contract import ClientReply, DemoClient, RequestFailed, Scenario
from optimizer.demo.problems import Problem
from optimizer.demo.scenarios import CONCURRENCY
from optimizer.distillation.outcome import Outcome
from optimizer.grading.graders import Submission, grader_for
from optimizer.report.summary import headline

_START_S = 120.0
_SWAP_S = 120.0
_FEEDBACK_AT_ONCE = 8
"""A hundred at once wait for each other in the store, on a busy machine for longer than it gives them."""

Say = Callable[[str], None]
"""Prints one line for people."""
Count = Callable[[str, int, int], None]
"""Shows the progress of a scene: its name, done, total."""


class MeasuredReplies(Value, frozen=True):
    """The clients' replies to the measured problems."""

    replies: tuple[ClientReply, ...]
    right: tuple[bool, ...]

    def means(self) -> dict[str, Any]:
        """Return accuracy, ``n``, and the mean output tokens and latency (seconds) of a reply."""
        n = len(self.replies)
        return {
            "accuracy": sum(self.right) / n,
            "n": n,
            "output_tokens": sum(reply.output_tokens for reply in self.replies) / n,
            "latency_s": sum(reply.latency_s for reply in self.replies) / n,
        }


class Played(Value, frozen=True):
    """The record of a demo."""

    scenario: Scenario
    before: MeasuredReplies
    after: MeasuredReplies
    outcome: Outcome
    """The cycle's own record."""
    rule_set: RuleSet | None
    streams: int
    """Streamed requests during the cycle and across the swap."""
    versions_streamed: tuple[str, ...]
    """The rule versions of those streams, in order of appearance."""
    dropped: int
    restarts: int
    minutes: float
    """From the first scene to the last."""


async def play(folder: Path, scenario: Scenario, store: Callable[[], Store], say: Say, count: Count) -> Played:
    """Run a demo in ``folder``. Raises ``PreceptorError`` if the gateway does not start or a request fails."""
    config = folder / "preceptor.toml"
    config.write_text(scenario.config, encoding="utf-8")
    items, workload, began = len(scenario.measured), len(scenario.workload), time.monotonic()
    async with serving(config, folder / "gateway.log") as (address, process):
        client = scenario.client(address)
        opened = store()
        try:
            say(f"gateway runs at {address} (configuration and log in {folder})")
            before = await _measure(client, scenario, lambda n: count("measure before", n, items))
            say(f"{sum(before.right)} of {items} {scenario.noun} right; {workload} others are sent to learn from")
            await _send_workload(client, scenario.workload, lambda n: count("send workload", n, workload))
            say("their right answers are sent as feedback; the scheduler takes over, which is the longest scene")
            streamer = _Streamer(client, scenario.workload, scenario.pause_s)
            async with streamer.running():
                ended = await _ended_cycle(opened, scenario.task, process)
                outcome = msgspec.json.decode(ended.outcome or b"{}", type=Outcome)
                say(f"the cycle ended: {headline(outcome)}")
                if outcome.adopted:
                    async with asyncio.timeout(_SWAP_S):
                        await streamer.saw(str(outcome.version))
            say(f"the same {items} {scenario.noun} once more")
            after = await _measure(client, scenario, lambda n: count("measure after", n, items))
            return Played(
                scenario=scenario,
                before=before,
                after=after,
                outcome=outcome,
                rule_set=opened.active().get(scenario.task),
                streams=streamer.streams,
                versions_streamed=tuple(streamer.versions),
                dropped=streamer.dropped,
                restarts=0 if process.returncode is None else 1,
                minutes=(time.monotonic() - began) / 60,
            )
        except RequestFailed as error:
            raise PreceptorError(f"a request of the demo failed: {error}; see {folder}/gateway.log") from error
        finally:
            await client.close()
            await asyncio.to_thread(opened.close)


@contextlib.asynccontextmanager
async def serving(config: Path, log: Path) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Run ``preceptor serve`` as a child process, ready to answer."""
    port = _free_port()
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "gateway", "serve", "-c", str(config), "--port", str(port),
            stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        async with asyncio.timeout(_START_S):
            await _ready(port, process, log)
        yield f"http://127.0.0.1:{port}", process
    except TimeoutError as error:
        raise PreceptorError(f"the demo waited too long for its gateway: see {log}") from error
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()


async def _ready(port: int, process: asyncio.subprocess.Process, log: Path) -> None:
    while True:
        if process.returncode is not None:
            raise PreceptorError(f"the demo's gateway did not start: see {log}")
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            status = await reader.readline()
            writer.close()
            if b" 200 " in status:
                return
        await asyncio.sleep(0.25)


async def _measure(client: DemoClient, scenario: Scenario, tell: Callable[[int], None]) -> MeasuredReplies:
    asked = scenario.measured
    replies: dict[int, ClientReply] = {}
    async for position, reply in client.ask_all(asked, concurrency=CONCURRENCY, learn=False):
        replies[position] = reply
        tell(len(replies))
    ordered = tuple(replies[position] for position in range(len(asked)))
    grader = grader_for(scenario.grader)
    right = tuple(
        grader.grade(Submission(text=reply.text), problem.answer) == 1.0
        for reply, problem in zip(ordered, asked, strict=True)
    )
    return MeasuredReplies(replies=ordered, right=right)


async def _send_workload(client: DemoClient, train: Sequence[Problem], tell: Callable[[int], None]) -> None:
    """Ask everything first and give feedback afterwards, so that one cycle sees all of it."""
    replies: dict[int, ClientReply] = {}
    async for position, reply in client.ask_all(train, concurrency=CONCURRENCY):
        replies[position] = reply
        tell(len(replies))
    free = asyncio.Semaphore(_FEEDBACK_AT_ONCE)

    async def correct(position: int, reply: ClientReply) -> None:
        async with free:
            await client.feedback(reply.id, train[position].answer)

    await asyncio.gather(*(correct(position, reply) for position, reply in replies.items()))


async def _ended_cycle(store: Store, task: str, process: asyncio.subprocess.Process) -> CycleRecord:
    """Wait until the scheduler's first cycle with enough mistakes ends."""
    while True:
        for record in await asyncio.to_thread(store.cycles, task, limit=1):
            if record.ended is not None:
                return record
        if process.returncode is not None:
            raise PreceptorError("the demo's gateway ended in the middle of the cycle")
        await asyncio.sleep(0.5)


class _Streamer:
    """A client with an endless row of streams while rules are learnt and swapped."""

    def __init__(self, client: DemoClient, asked: Sequence[Problem], pause_s: float) -> None:
        self._client = client
        self._asked = asked
        self._pause_s = pause_s
        self._arrived = asyncio.Condition()
        self.streams = 0
        self.dropped = 0
        self.versions: list[str] = []

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def saw(self, version: str) -> None:
        """Wait until a stream began with this version."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: version in self.versions)

    async def _run(self) -> None:
        for problem in cycle(self._asked):
            self.streams += 1
            try:
                version = await self._client.stream(problem)
            except RequestFailed:
                self.dropped += 1
            else:
                async with self._arrived:
                    if version not in self.versions:
                        self.versions.append(version)
                    self._arrived.notify_all()
            await asyncio.sleep(self._pause_s)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
