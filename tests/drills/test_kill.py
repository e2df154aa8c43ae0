"""Drill: the process is killed at every stage of cycle and roll-out, and the next one ends where no kill would have.

A store dies before or after one of its writing calls, and with it everything that its process held in memory; a real
process is killed by SIGKILL.
"""

import asyncio
import contextlib
import functools
import itertools
import json
import random
import shutil
import signal
import sqlite3
import sys
import threading
from asyncio.subprocess import DEVNULL, Process
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import httpx

from gateway.domain import Exchange, Feedback
from gateway.formats.chat import open_chat
from gateway.routing.conversation import conversation_key
from gateway.routing.route import CompiledSplit, choose_arm
from gateway.routing.rule_snapshot import LiveRules
from gateway.rules.live import refresh
from gateway.services import Services
from gateway.store.base import Store
from gateway.store.sql import SqlStore
from optimizer.demo.loopback import loopback_server
from optimizer.monitoring.sweep import Sweep
from optimizer.scheduling.learner import Learner, open_learner
from tests import fakes
from tests.fakes import free_port, settings
from tests.learning import answer_over_http
from tests.scripted import BASE_PROMPT
from tests.traffic import sweep_of
from tests.world import CURES, answer, configured, models, strong_reply, weak_reply

TASK = "arithmetic"
WRITES = ("record", "add_feedback", "publish", "activate", "begin_cycle", "end_cycle", "put_note")
DECISIVE = ("publish", "activate", "begin_cycle", "end_cycle")
"""Killed at each of these, before and after; of the others at a sample."""
SAMPLE = 24
SEED = 5
BEGAN = 1e9
LIVE = """
shadow = { share = 0.15 }
rollout = { holdback = 0.1, steps = [0.3, 1.0], step_exchanges = 5, step_minutes = 2, harm = 1 }
"""


class Killed(BaseException):
    """The process is no more."""


class Mortal:
    """A store whose process dies at its writing call number ``at``, from 1: before it, or (``done``) after it."""

    def __init__(self, store: Store, at: int | None = None, *, done: bool = False) -> None:
        self.writes: list[str] = []
        self._store, self._at, self._done = store, at, done
        self._dead = False
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return functools.partial(self._call, name)

    def _call(self, name: str, *arguments: Any, **named: Any) -> Any:
        with self._lock:
            if name in WRITES:
                self.writes.append(name)
            last = name in WRITES and len(self.writes) == self._at
            if self._dead or (last and not self._done):
                self._dead = True
                raise Killed
            result = getattr(self._store, name)(*arguments, **named)
            if last:
                self._dead = True
                raise Killed
            return result


class Town:
    """Traffic, sweeps and a cycle on a folder, as one plan that begins again at the step that was cut short."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.upstream = models()
        self.writes: list[str] = []
        self._settings = settings(configured(folder, task=LIVE))
        self._now = BEGAN
        self._store: SqlStore | None = None

    @property
    def store(self) -> SqlStore:
        assert self._store is not None
        return self._store

    async def live_through(self, *, at: int | None = None, done: bool = False) -> None:
        """The whole plan, by as many processes as it takes; the first one dies at its writing call ``at``."""
        steps = [*itertools.repeat("sweep", 2), "cycle", *itertools.repeat("sweep", 6)]
        step = 0
        while step < len(steps):
            with contextlib.suppress(Killed):
                async with self._process(at, done=done) as (_, learner, sweep):
                    at = None
                    while step < len(steps):
                        self._now = BEGAN + 60.0 * (step + 1)
                        if steps[step] == "cycle":
                            await learner.learn(TASK)
                        else:
                            self._traffic(step)
                            await sweep.tick()
                        step += 1

    @contextlib.asynccontextmanager
    async def _process(self, at: int | None, *, done: bool) -> AsyncIterator[tuple[Services, Learner, Sweep]]:
        with contextlib.closing(SqlStore.open(self.folder)) as self._store:
            mortal = Mortal(self._store, at, done=done)
            made = fakes.services(
                self._settings, {"mock": self.upstream}, cast("Store", mortal), wall_clock=lambda: self._now
            )
            try:
                async with open_learner(made.learner_context()) as learner, sweep_of(made, learner) as sweep:
                    yield made, learner, sweep
            finally:
                self.writes = mortal.writes

    def learnt_from(self, count: int) -> None:
        """Before it all: traffic that a person labelled, acknowledged; a model labels a part of the later traffic."""
        with contextlib.closing(SqlStore.open(self.folder)) as self._store:
            for number in range(count):
                exchange = self._exchange(number, BEGAN - count + number, CompiledSplit())
                self._store.record([exchange])
                expected = float(answer(json.loads(exchange.request)["messages"][-1]["content"]))
                label = Feedback(exchange_id=exchange.id, created=BEGAN, expected=expected, source="label")
                self._store.add_feedback(label)

    def _traffic(self, step: int) -> None:
        """Recorded by the gateway, which another process is here; again is once."""
        live = LiveRules()
        refresh(self.store, live)
        at, split = self._now - 30.0, live.current.splits.get(TASK, CompiledSplit())
        self.store.record([self._exchange(1000 * (step + 1) + number, at + number, split) for number in range(12)])

    def _exchange(self, number: int, created: float, split: CompiledSplit) -> Exchange:
        text = f"What is {1000 + number} plus {'twice ' if number % 2 else ''}{2 * (number % 40) + 2}?"
        messages = [{"role": "system", "content": BASE_PROMPT}, {"role": "user", "content": text}]
        request = json.dumps({"model": "gpt-4o-mini", "messages": messages}).encode()
        arm, injected = choose_arm(conversation_key(open_chat(request)), TASK, self._settings.tasks[TASK], split)
        told = [rule.text for rule in injected.rule_set.rules] if injected is not None else []
        reply = weak_reply({"messages": [{"role": "system", "content": " ".join(told)}, messages[-1]]})
        return Exchange(
            id=f"x{number}", created=created, task=TASK, client_model="gpt-4o-mini", model="small", arm=arm,
            rules=injected.rule_set.version if injected is not None else None, stream=False, status="ok",
            http_status=200, audit_rate=1.0, request=request, reply=reply, finish_reason="stop", latency_ms=5.0,
        )  # fmt: skip

    def state(self) -> dict[str, Any]:
        """Everything that must not depend on a kill."""
        with contextlib.closing(SqlStore.open(self.folder)) as store:
            known = store.observed(TASK, since=0, limit=10_000)
            return {
                "rules": [
                    (one.version, one.parent, [rule.text for rule in one.rules], one.evidence and one.evidence.verdict)
                    for one in store.rule_sets(TASK)
                ],
                "decisions": [(one.kind, one.version, one.share, one.by) for one in store.history(TASK)],
                "cycles": [
                    (one.ended is not None, json.loads(one.outcome or b"{}").get("adopted"))
                    for one in store.cycles(TASK, limit=100)
                ],
                "exchanges": {one.id: (one.arm, one.rules, one.source, one.correct) for one in known},
                "expected": {
                    one.exchange.id: one.feedback.expected for one in store.graded(TASK, limit=10_000)
                },
            }  # fmt: skip

    def asked_in_the_background(self) -> Counter[str]:
        """How often the strong model was asked each question."""
        texts = [str(body["messages"][-1]["content"]) for body in self.upstream.bodies if body["model"] == "huge-1t"]
        return Counter(text for text in texts if text.startswith("What is"))


async def test_killed_anywhere_it_comes_to_the_same_end(tmp_path: Path) -> None:
    """Before and after writing calls: the same versions, decisions, labels; each comparison is paid once more at most.

    Everything that is published carries the gate's verdict, and nothing that was acknowledged is lost.
    """
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)  # of the dead nobody wants to hear
    began = tmp_path / "began"
    began.mkdir()
    Town(began).learnt_from(110)
    whole = Town(shutil.copytree(began, tmp_path / "whole"))
    await whole.live_through()
    expected, paid = whole.state(), whole.asked_in_the_background()
    assert [(rules, verdict) for _, _, rules, verdict in expected["rules"]] == [([CURES["twice"]], "better")]
    assert expected["decisions"] == [("canary", 1, 0.3, "cycle"), ("live", 1, 1.0, "watch")]
    assert set(WRITES) == set(whole.writes) and len(paid) > 10

    every = [(at, done) for at in range(1, len(whole.writes) + 1) for done in (False, True)]
    decisive = [kill for kill in every if whole.writes[kill[0] - 1] in DECISIVE]
    others = sorted(set(every) - set(decisive))
    for at, done in decisive + random.Random(SEED).sample(others, SAMPLE):
        town = Town(shutil.copytree(began, tmp_path / f"{at}-{done}"))
        await town.live_through(at=at, done=done)
        when = f"{'after' if done else 'before'} writing call {at} ({whole.writes[at - 1]})"
        assert town.state() == expected, when
        again = town.asked_in_the_background()
        assert again.keys() == paid.keys() and max(again.values()) <= 2, when
        assert again.total() <= paid.total() + settings().optimizer.concurrency, when


SERVED = """
[optimizer]
schedule = "* * * * * *"
sweep_s = 0.2
min_mistakes = 10
selection_items = 20
confirmation_items = 60
"""


class UpstreamModel:
    """``preceptor serve`` with its optimizer on a folder, killed and started again."""

    def __init__(self, folder: Path, upstream: str) -> None:
        self.port = free_port()
        self._config = folder / "preceptor.toml"
        text = fakes.CONFIG.partition("[optimizer]")[0].replace("http://127.0.0.1:9/v1", upstream)
        text = text.replace("port = 0", f'port = {self.port}\ndata_dir = "{folder}"')
        self._config.write_text(text.replace("rollout = ", "shadow = { share = 0.5 }\nrollout = ") + SERVED)
        self.child: Process | None = None

    async def start(self) -> None:
        self.child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", "serve", "-c", str(self._config), stdin=DEVNULL, stdout=DEVNULL,
            stderr=DEVNULL, cwd=Path(__file__).parents[2],
        )  # fmt: skip

    def kill(self) -> None:
        assert self.child is not None
        with contextlib.suppress(ProcessLookupError):
            self.child.send_signal(signal.SIGKILL)


@contextlib.asynccontextmanager
async def killed_at(folder: Path, calls: tuple[int, ...]) -> AsyncIterator[tuple[UpstreamModel, Counter[str]]]:
    """A gateway that is killed when the upstream is asked so many times, and started again each time."""
    asked: Counter[str] = Counter()
    made: list[UpstreamModel] = []

    def script(body: dict[str, Any]) -> str:
        asked["calls"] += 1
        if asked["calls"] in calls:
            made[0].kill()
        return weak_reply(body) if body["model"] == "tiny-1b" else strong_reply(body)

    async with loopback_server(functools.partial(answer_over_http, script=script)) as upstream:
        made.append(UpstreamModel(folder, upstream))
        await made[0].start()
        again = asyncio.create_task(_restarted(made[0], asked))
        try:
            yield made[0], asked
        finally:
            again.cancel()
            made[0].kill()
            await asyncio.gather(again, return_exceptions=True)
            assert made[0].child is not None
            await made[0].child.wait()


async def _restarted(served: UpstreamModel, asked: Counter[str]) -> None:
    while True:
        assert served.child is not None
        await served.child.wait()
        asked["deaths"] += 1
        await served.start()


async def test_a_gateway_that_is_killed_three_times_learns_all_the_same(tmp_path: Path) -> None:
    """SIGKILL in the middle of traffic, comparisons and a cycle; every acknowledged word is there, one version is."""
    said: dict[str, float] = {}
    async with (
        killed_at(tmp_path, (40, 150, 330)) as (served, asked),
        asyncio.timeout(300),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}", timeout=10, trust_env=False) as client,
    ):
        for number in itertools.count(1000):
            text = f"What is {number} plus {'twice ' if number % 2 else ''}{2 * (number % 40) + 2}?"
            messages = [{"role": "system", "content": BASE_PROMPT}, {"role": "user", "content": text}]
            try:
                reply = await client.post("/v1/chat/completions", json={"model": "gpt-4o-mini", "messages": messages})
                told = await client.post(
                    "/v1/feedback", json={"id": reply.json()["id"], "expected": float(answer(text))}
                )
            except httpx.TransportError:
                await asyncio.sleep(0.05)
                continue
            assert reply.status_code == 200
            if told.status_code == 200:
                said[reply.json()["id"]] = float(answer(text))
            if asked["deaths"] == 3 and reply.headers["x-preceptor-rules"] == "1":
                break
    with contextlib.closing(SqlStore.open(tmp_path)) as store:
        known = {one.exchange.id: one.feedback for one in store.graded(TASK, limit=10_000)}
        published, history = store.rule_sets(TASK), store.history(TASK)
    assert said and {key: known[key].expected for key in said} == said
    assert [[rule.text for rule in one.rules] for one in published] == [[CURES["twice"]]]
    assert all(one.evidence is not None and one.evidence.verdict == "better" for one in published)
    # The sweep sets the audit rate when it first sees the traffic; about the rules there is one decision.
    decided = [(one.kind, one.version, one.by) for one in history if (one.kind, one.by) != ("audit", "sweep")]
    assert decided == [("live", 1, "cycle")]
    with contextlib.closing(sqlite3.connect(tmp_path / "preceptor.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
