"""Many requests at once, as a demo sends them."""

import asyncio

import pytest

from optimizer.demo.contract import ClientReply, RequestFailed, as_they_arrive
from optimizer.demo.problems import Problem

PROBLEMS = [Problem(question=str(number), answer=number) for number in range(20)]


def reply(problem: Problem) -> ClientReply:
    return ClientReply(id="x", text=problem.question, output_tokens=1, latency_s=0.0, rules="none")


async def test_every_problem_is_asked_and_no_more_at_once_than_allowed() -> None:
    """Replies come with the position of their problem."""
    under_way: list[int] = []
    most = 0

    async def ask(problem: Problem) -> ClientReply:
        nonlocal most
        under_way.append(1)
        most = max(most, len(under_way))
        await asyncio.sleep(0)
        under_way.pop()
        return reply(problem)

    replies = {position: given.text async for position, given in as_they_arrive(ask, PROBLEMS, concurrency=3)}
    assert replies == {number: str(number) for number in range(20)} and most == 3


async def test_the_first_failure_ends_the_others() -> None:
    """The rest is not asked."""
    asked: list[Problem] = []

    async def ask(problem: Problem) -> ClientReply:
        asked.append(problem)
        await asyncio.sleep(0)
        raise RequestFailed("gone")

    with pytest.raises(RequestFailed):
        async for _ in as_they_arrive(ask, PROBLEMS, concurrency=1):
            pass
    assert len(asked) < 5
