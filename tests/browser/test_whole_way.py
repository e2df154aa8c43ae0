"""The whole way by hand: a label in the queue, a cycle, a version, its fixed and broken, a trial, live, a promise kept.

A real gateway with its learner (``preceptor serve``), and the scripted models and tickets of the quick demo. Every
decision is a person's, in the browser. Everything between the two scripts is the product.
"""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from gateway.domain import CycleRecord
from gateway.store.history import active_decisions
from gateway.store.sql import SqlStore
from optimizer.demo.contract import DemoClient, Scenario
from optimizer.demo.play import serving
from optimizer.demo.problems import Problem
from optimizer.demo.scenarios import scripted_tickets
from optimizer.demo.scripted_server import scripted_server
from optimizer.demo.tickets import strong_reply, tickets, weak_reply
from optimizer.monitoring.rollout.promises import PROMISES
from optimizer.monitoring.rollout.status import STATUS
from tests.browser.chrome import Seen, chromium_at, needs_chromium
from tests.consoles import KEY, token_in

pytestmark = [pytest.mark.browser, needs_chromium, pytest.mark.timeout(600)]

TASK, WAIT_S = "tickets", 240.0


def by_hand(scenario: Scenario) -> str:
    """The demo's configuration with a person at every gate: nothing goes on trial or live by itself."""
    rollout = 'rollout = { policy = "manual", steps = [0.5, 1.0], holdback = 0.3, holdback_first = 0.3 }'
    rollout += "\naudit = { share = 1.0 }"
    text = scenario.config.replace("[server]", f'[server]\nadmin_key = "{KEY}"', 1)
    text = text.replace('rollout = { policy = "at_once", holdback = 0 }', rollout)
    return text.replace("[optimizer]", "[optimizer]\nsweep_s = 1", 1)


async def until(ready: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for something that the learner does."""
    async with asyncio.timeout(WAIT_S):
        while not await ready():
            await asyncio.sleep(0.5)


async def answered(client: DemoClient, problems: list[Problem]) -> list[str]:
    """Ask, and return the ids of the replies in the order of the problems."""
    ids = {place: reply.id async for place, reply in client.ask_all(problems, concurrency=2)}
    return [ids[place] for place in range(len(problems))]


async def corrected(client: DemoClient, problems: list[Problem]) -> None:
    """Ask, and send every right answer as feedback."""
    for id_, problem in zip(await answered(client, problems), problems, strict=True):
        await client.feedback(id_, problem.answer)


class Colleague:
    """A second person, who labels the queue by its form: clients' feedback may be chosen by its outcome, so it measures
    nothing."""

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=60.0)
        self._token = ""

    async def sign_in(self) -> None:
        page = await self._http.get("/ui/login")
        await self._http.post("/ui/login", data={"key": KEY, "token": token_in(page.text)})
        self._token = token_in((await self._http.get("/ui")).text)

    async def label(self, client: DemoClient, problems: list[Problem]) -> None:
        """Ask, and give the right answer to every reply."""
        for id_, problem in zip(await answered(client, problems), problems, strict=True):
            form = {"token": self._token, "id": id_, "seen": "0", "verdict": "answer", "expected": str(problem.answer)}
            while (reply := await self._http.post(f"/ui/tasks/{TASK}/labels", data=form)).status_code in (404, 503):
                await asyncio.sleep(0.5)  # the reply is not in the store yet
            assert reply.status_code == 303, reply.text

    async def close(self) -> None:
        await self._http.aclose()


async def test_from_a_label_to_a_promise_kept(tmp_path: Path) -> None:
    """Nobody but the person decides, and each page leads to the next."""
    kept = Path(os.environ.get("CONSOLE_SHOTS") or tmp_path)

    async def shot(seen: Seen, name: str) -> None:
        await seen.page.screenshot(path=kept / f"way-{name}.png")

    async with contextlib.AsyncExitStack() as stack:
        scripts = {"scripted-weak": weak_reply, "scripted-strong": strong_reply}
        address = await stack.enter_async_context(scripted_server(scripts))
        scenario = scripted_tickets(tmp_path, address)
        config = tmp_path / "preceptor.toml"
        config.write_text(by_hand(scenario), encoding="utf-8")
        url, _ = await stack.enter_async_context(serving(config, tmp_path / "gateway.log"))
        client, store = scenario.client(url), SqlStore.open(tmp_path)
        stack.callback(store.close)
        workload = list(scenario.workload)
        wrong = next(
            place for place, problem in enumerate(workload)
            if weak_reply({"messages": [{"content": problem.question}]}) != problem.answer
        )  # fmt: skip
        last = workload.pop(wrong)
        await corrected(client, workload)
        await answered(client, [last])
        seen = await stack.enter_async_context(chromium_at(url))

        async def ended() -> bool:
            cycles: list[CycleRecord] = await asyncio.to_thread(store.cycles, TASK, limit=1)
            return bool(cycles) and cycles[0].ended is not None

        # A label: one mistake is missing for a cycle, and it waits in the queue.
        assert not await ended()
        await seen.open(f"/ui/tasks/{TASK}/labels")
        assert "Reply 1 of 1" in await seen.text() and last.question in await seen.text()
        await seen.press("e")
        await seen.page.keyboard.type(str(last.answer))
        await shot(seen, "label")
        await seen.go("Control+Enter")
        assert "Nothing waits" in await seen.text()
        await until(ended, "a cycle")
        assert store.rule_sets(TASK), store.cycles(TASK, limit=1)[0].outcome

        # A version waits; nothing serves it.
        await seen.open(f"/ui/tasks/{TASK}")
        text = await seen.text()
        assert "Version 1 waits: right answers" in text and "fixed and broken" in text
        assert active_decisions(store.history(TASK)).live is None
        await shot(seen, "version")
        await seen.open(f"/ui/tasks/{TASK}/mistakes")
        assert "is right" in await seen.text() and "Gift cards are money" in await seen.text()
        await shot(seen, "why")
        await seen.open(f"/ui/tasks/{TASK}/changed")
        assert "✓ fixed" in await seen.text()
        await shot(seen, "fixed-and-broken")

        # Approved: on trial with half of the conversations, under traffic with labels.
        await seen.open(f"/ui/tasks/{TASK}")
        await seen.reach("Put on trial")
        await seen.go("Enter")
        trial = active_decisions(store.history(TASK)).canary
        assert trial is not None and (trial.version, trial.by) == (1, "console, admin key")
        fresh, colleague = iter(tickets(99)), Colleague(url)
        stack.push_async_callback(colleague.close)
        await colleague.sign_in()
        await colleague.label(client, [next(fresh) for _ in range(100)])

        async def compared() -> bool:
            status = await asyncio.to_thread(STATUS.read, store, TASK)
            trials = [known for known in status.comparisons if known.subject == "trial"] if status else []
            return bool(trials) and trials[0].challenger.labelled >= 25

        await until(compared, "a comparison")
        await colleague.label(client, [next(fresh) for _ in range(10)])
        await seen.open(f"/ui/tasks/{TASK}/trial")
        assert "no sign of harm" in await seen.text()

        async def drawn() -> bool:
            await colleague.label(client, [next(fresh) for _ in range(4)])
            await seen.page.reload()
            return "The evidence over time" in await seen.text()

        await until(drawn, "a path of evidence")
        await shot(seen, "trial")

        # Live, by the person's word.
        await seen.reach("Make it live now")
        await seen.go("Enter")
        live = active_decisions(store.history(TASK)).live
        assert live is not None and (live.version, live.by) == (1, "console, admin key")
        await shot(seen, "live")

        # The promise: measured against conversations without rules, in labels that came whatever the outcome.
        async def judged() -> bool:
            await colleague.label(client, [next(fresh) for _ in range(20)])
            ledger = await asyncio.to_thread(PROMISES.read, store, TASK) or ()
            return bool(ledger) and ledger[0].verdict in ("held", "exceeded")

        await until(judged, "a verdict on the promise")
        await seen.open("/ui/promises")
        text = await seen.text()
        assert TASK in text and ("✓ Kept" in text or "✓ More than promised" in text)
        await shot(seen, "promise")
        await seen.open("/ui/history")
        assert "console, admin key" in await seen.text()
        assert seen.complaints == []
