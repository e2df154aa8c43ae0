"""The contract between the demo's scenes and its clients, and the scenario of a demo. Sends nothing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

from gateway.domain import Value
from gateway.errors import PreceptorError
from gateway.settings import Grader
from optimizer.demo.problems import Problem

MODEL = "gpt-4o-mini"
"""The model name in the clients' requests; the demo's configuration recognises the task by it."""


class RequestFailed(PreceptorError):
    """A request of a client failed, or its stream ended early."""


class ClientReply(Value, frozen=True):
    """The reply to one problem, as the client received it."""

    id: str
    text: str
    output_tokens: int
    latency_s: float
    rules: str
    """The header ``x-preceptor-rules``."""


class DemoClient(Protocol):
    """A client of the gateway. Every method raises ``RequestFailed``."""

    async def ask(self, problem: Problem, *, learn: bool = True) -> ClientReply:
        """Send one unstreamed request; without ``learn`` it is kept out of learning."""

    def ask_all(
        self, problems: Sequence[Problem], *, concurrency: int, learn: bool = True
    ) -> AsyncIterator[tuple[int, ClientReply]]:
        """Ask every problem and yield each position with its reply, as they arrive."""

    async def stream(self, problem: Problem) -> str:
        """Send one streamed request and return its rule version."""

    async def feedback(self, exchange_id: str, expected: int | str) -> None:
        """Send the right answer as feedback."""

    async def close(self) -> None: ...


class Scenario(Value, frozen=True):
    """One demo: its task, its problems, its configuration and its words."""

    task: str
    config: str
    """The configuration as TOML."""
    measured: tuple[Problem, ...]
    workload: tuple[Problem, ...]
    grader: Grader
    client: Callable[[str], DemoClient]
    """Opens a client on the gateway's address."""
    models: str
    """``scripted``, or the name of the model in both roles."""
    noun: str
    """The plural of a problem, such as ``tickets``."""
    right: str
    """The meaning of a right reply."""
    closing: tuple[str, ...]
    """The last words of the report: the models of the demo."""
    pause_s: float
    """Seconds between the streams of a client while rules are learnt."""


async def as_they_arrive(
    ask: Callable[[Problem], Awaitable[ClientReply]], problems: Sequence[Problem], *, concurrency: int
) -> AsyncIterator[tuple[int, ClientReply]]:
    """Ask every problem and yield each position with its reply, as they arrive. The first failure ends the others."""
    free = asyncio.Semaphore(concurrency)

    async def ask_at(position: int, problem: Problem) -> tuple[int, ClientReply]:
        async with free:
            return position, await ask(problem)

    asked = [asyncio.create_task(ask_at(*pair)) for pair in enumerate(problems)]
    try:
        for next_done in asyncio.as_completed(asked):
            yield await next_done
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
