"""The demo's clients: plain users of the ``openai`` package, without any knowledge of rules."""

import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial

import openai

from optimizer.demo.contract import MODEL, ClientReply, RequestFailed, as_they_arrive
from optimizer.demo.problems import BASE_PROMPT, Problem

_TIMEOUT_S = 300.0


_NOT_LEARNT = {"x-preceptor-learn": "off"}
"""For requests without feedback: unlabelled, they would leave the cycle's labels a choice by outcome."""


class Client:
    """An OpenAI client of the gateway at ``base_url`` (without ``/v1``). Implements ``DemoClient``."""

    def __init__(self, base_url: str, prompt: str = BASE_PROMPT) -> None:
        self.base_url = base_url
        self._prompt = prompt
        self._openai = openai.AsyncOpenAI(
            base_url=f"{base_url}/v1", api_key="not-needed", max_retries=0, timeout=_TIMEOUT_S
        )

    async def ask(self, problem: Problem, *, learn: bool = True) -> ClientReply:
        began = time.monotonic()
        with _mapped():
            raw = await self._openai.chat.completions.with_raw_response.create(
                model=MODEL, messages=self._messages(problem), temperature=0, extra_headers={} if learn else _NOT_LEARNT
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

    async def ask_all(
        self, problems: Sequence[Problem], *, concurrency: int, learn: bool = True
    ) -> AsyncIterator[tuple[int, ClientReply]]:
        async for pair in as_they_arrive(partial(self.ask, learn=learn), problems, concurrency=concurrency):
            yield pair

    async def stream(self, problem: Problem) -> str:
        finished = False
        with _mapped():
            raw = await self._openai.chat.completions.with_raw_response.create(
                model=MODEL,
                messages=self._messages(problem),
                temperature=0,
                stream=True,
                extra_headers=_NOT_LEARNT,
            )
            async for chunk in raw.parse():
                finished = finished or any(choice.finish_reason for choice in chunk.choices)
        if not finished:
            raise RequestFailed("the stream ended before the reply was complete")
        return raw.headers["x-preceptor-rules"]

    async def feedback(self, exchange_id: str, expected: int | str) -> None:
        with _mapped():
            patient = self._openai.with_options(max_retries=4)  # a busy machine's store may not answer in time
            await patient.post("/feedback", body={"id": exchange_id, "expected": expected}, cast_to=object)

    async def close(self) -> None:
        await self._openai.close()

    def _messages(self, problem: Problem) -> list[openai.types.chat.ChatCompletionMessageParam]:
        return [{"role": "system", "content": self._prompt}, {"role": "user", "content": problem.question}]


@contextlib.contextmanager
def _mapped() -> Iterator[None]:
    try:
        yield
    except openai.OpenAIError as error:
        raise RequestFailed(str(error)) from error
