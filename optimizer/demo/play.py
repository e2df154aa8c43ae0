"""The demo, scene by scene: a gateway of its own, traffic through the ``openai`` client, a scheduled cycle, a swap
under a running client, and a second measurement on untouched problems."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import msgspec
import openai

from gateway.domain import CycleRecord, RuleSet, Value
from gateway.errors import PreceptorError
from gateway.settings import NumericGrader
from gateway.store.base import Store
from optimizer.demo.client import MODEL, Client, ClientReply
from optimizer.demo.problems import Problem, problems
from optimizer.grading.graders import Submission, grader_for

TASK = "word-problems"
CONCURRENCY = 2
WORKLOAD_PER_ITEM = 2.75
"""Problems of the workload per measured problem: 40 of 110 fall to confirmation."""
SEED = 20240816
_STREAM_PAUSE_S = 20.0
_START_S = 120.0
_SWAP_S = 120.0

EMBEDDED = """\
kind = "llamacpp"
parallel = 3
context = 2048
"""
CONFIG = """\
[server]
data_dir = "{data_dir}"

[upstreams.local]
{upstream}

[models.qwen]
upstream = "local"
model = "{model}"

[tasks.{task}]
match = {{ model = "{client_model}" }}   # what the clients have always asked for
weak = "qwen"
strong = "qwen"                     # one model plays both roles here
grader = {{ kind = "numeric" }}
rollout = {{ policy = "at_once", holdback = 0 }}   # the demo has no hours for a trial

[optimizer]
schedule = "*/5 * * * * *"          # looks every five seconds; a cycle starts once there are enough mistakes
min_mistakes = {min_mistakes}
max_rules = 4
selection_items = 6
confirmation_items = {items}
concurrency = {concurrency}
max_output_tokens = 512
"""

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

    measured: tuple[Problem, ...]
    before: MeasuredReplies
    after: MeasuredReplies
    outcome: dict[str, Any]
    """The cycle's own record, ``optimizer.distillation.outcome.Outcome`` as JSON."""
    rule_set: RuleSet | None
    streams: int
    """Streamed requests during the cycle and across the swap."""
    versions_streamed: tuple[str, ...]
    """The rule versions of those streams, in order of appearance."""
    dropped: int
    restarts: int


async def play(
    folder: Path,
    model: str,
    items: int,
    store: Callable[[], Store],
    say: Say,
    count: Count,
    *,
    upstream: str = EMBEDDED,
    pause_s: float = _STREAM_PAUSE_S,
) -> Played:
    """Run the demo in ``folder``. Its clients pause ``pause_s`` seconds between streams while rules are learnt.

    ``upstream`` is the body of the section ``[upstreams.local]``. Raises ``PreceptorError`` if the gateway does not
    start or a request fails.
    """
    workload = round(items * WORKLOAD_PER_ITEM)
    made = list(islice(problems(SEED), items + workload))
    measured, train = made[:items], made[items:]
    config = folder / "preceptor.toml"
    config.write_text(
        CONFIG.format(
            data_dir=folder, upstream=upstream, model=model, task=TASK, client_model=MODEL, items=items,
            min_mistakes=max(5, workload // 3), concurrency=CONCURRENCY,
        ),
        encoding="utf-8",
    )  # fmt: skip
    async with serving(config, folder / "gateway.log") as (address, process):
        client = Client(address)
        opened = store()
        try:
            say(f"gateway and model run at {address} (configuration and log in {folder})")
            before = await _measure(client, measured, lambda n: count("measure before", n, items))
            await _send_workload(client, train, lambda n: count("send workload", n, workload))
            say(f"{workload} problems sent with their answers as feedback; the scheduler takes over")
            streamer = _Streamer(client, train, pause_s)
            async with streamer.running():
                ended = await _ended_cycle(opened, process)
                outcome = msgspec.json.decode(ended.outcome or b"{}")
                if outcome.get("adopted"):
                    await asyncio.wait_for(streamer.saw(str(outcome["version"])), _SWAP_S)
            after = await _measure(client, measured, lambda n: count("measure after", n, items))
            return Played(
                measured=tuple(measured),
                before=before,
                after=after,
                outcome=outcome,
                rule_set=opened.active().get(TASK),
                streams=streamer.streams,
                versions_streamed=tuple(streamer.versions),
                dropped=streamer.dropped,
                restarts=0 if process.returncode is None else 1,
            )
        except openai.OpenAIError as error:
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
            sys.executable, "-m", "gateway", "serve", "-c", str(config), "--port", str(port),
            stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        await asyncio.wait_for(_ready(port, process, log), _START_S)
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


async def _measure(client: Client, asked: Sequence[Problem], tell: Callable[[int], None]) -> MeasuredReplies:
    replies: dict[int, ClientReply] = {}
    async for position, reply in client.ask_all(asked, concurrency=CONCURRENCY):
        replies[position] = reply
        tell(len(replies))
    ordered = tuple(replies[position] for position in range(len(asked)))
    grader = grader_for(NumericGrader())
    right = tuple(
        grader.grade(Submission(text=reply.text), problem.answer) == 1.0
        for reply, problem in zip(ordered, asked, strict=True)
    )
    return MeasuredReplies(replies=ordered, right=right)


async def _send_workload(client: Client, train: Sequence[Problem], tell: Callable[[int], None]) -> None:
    """Ask everything first and give feedback afterwards, so that one cycle sees all of it."""
    replies: dict[int, ClientReply] = {}
    async for position, reply in client.ask_all(train, concurrency=CONCURRENCY):
        replies[position] = reply
        tell(len(replies))
    await asyncio.gather(*(client.feedback(reply.id, train[position].answer) for position, reply in replies.items()))


async def _ended_cycle(store: Store, process: asyncio.subprocess.Process) -> CycleRecord:
    """Wait until the scheduler's first cycle with enough mistakes ends."""
    while True:
        for record in await asyncio.to_thread(store.cycles, TASK, limit=1):
            if record.ended is not None:
                return record
        if process.returncode is not None:
            raise PreceptorError("the demo's gateway ended in the middle of the cycle")
        await asyncio.sleep(0.5)


class _Streamer:
    """A client with an endless row of streams while rules are learnt and swapped."""

    def __init__(self, client: Client, asked: Sequence[Problem], pause_s: float) -> None:
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
            except openai.OpenAIError:
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
