"""The demo's clients: plain users of the ``openai`` package, without any knowledge of rules."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import openai

from gateway.domain import Value
from optimizer.demo.problems import BASE_PROMPT, Problem

MODEL = "gpt-4o-mini"
"""The name that the clients have always asked for; the demo's configuration recognises the task by it."""
_TIMEOUT_S = 300.0


class ClientReply(Value, frozen=True):
    """The reply to one problem, as the client received it."""

    id: str
    text: str
    output_tokens: int
    latency_s: float
    rules: str
    """The header ``x-preceptor-rules``."""


class Client:
    """An OpenAI client of the gateway at ``base_url`` (without ``/v1``)."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._openai = openai.AsyncOpenAI(
            base_url=f"{base_url}/v1", api_key="not-needed", max_retries=0, timeout=_TIMEOUT_S
        )

    async def ask(self, problem: Problem) -> ClientReply:
        """Send one unstreamed request. Raises ``openai.OpenAIError``."""
        began = time.monotonic()
        raw = await self._openai.chat.completions.with_raw_response.create(
            model=MODEL, messages=_messages(problem), temperature=0
        )
        completion = raw.parse()
        usage = completion.usage
        return ClientReply(
            id=completion.id,
            text=completion.choices[0].message.content or "",
            output_tokens=usage.completion_tokens if usage else 0,
            latency_s=time.monotonic() - began,
            rules=raw.headers["x-preceptor-rules"],
        )

    async def ask_all(self, problems: Sequence[Problem], *, concurrency: int) -> AsyncIterator[tuple[int, ClientReply]]:
        """Ask every problem and yield each position with its reply, as they arrive. Raises ``openai.OpenAIError``."""
        free = asyncio.Semaphore(concurrency)

        async def ask_at(position: int, problem: Problem) -> tuple[int, ClientReply]:
            async with free:
                return position, await self.ask(problem)

        asked = [asyncio.create_task(ask_at(*pair)) for pair in enumerate(problems)]
        try:
            for next_done in asyncio.as_completed(asked):
                yield await next_done
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    async def stream(self, problem: Problem) -> str:
        """Send one streamed request and return its rule version. Raises ``openai.OpenAIError``."""
        raw = await self._openai.chat.completions.with_raw_response.create(
            model=MODEL, messages=_messages(problem), temperature=0, stream=True
        )
        finished = False
        async for chunk in raw.parse():
            finished = finished or any(choice.finish_reason for choice in chunk.choices)
        if not finished:
            raise openai.OpenAIError("the stream ended before the reply was complete")
        return raw.headers["x-preceptor-rules"]

    async def feedback(self, exchange_id: str, expected: int) -> None:
        """Send the right answer as feedback. Raises ``openai.OpenAIError``."""
        await self._openai.post("/feedback", body={"id": exchange_id, "expected": expected}, cast_to=object)

    async def close(self) -> None:
        await self._openai.close()


def _messages(problem: Problem) -> list[openai.types.chat.ChatCompletionMessageParam]:
    return [{"role": "system", "content": BASE_PROMPT}, {"role": "user", "content": problem.question}]
