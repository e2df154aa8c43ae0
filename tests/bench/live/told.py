"""What is said and what is true, end to end: a gateway over loopback, scripted models, feedback as in the README.

    python -m tests.bench.live.told --runs 3

The weak model is right in 70 of 100 sums; what a rule fixes and breaks depends on the question, so the truth is known.
The strong model writes that one rule. Callers give feedback in their way; a cycle runs, and says what it can show. If
it asks for labels of the audit sample, a person labels the queue, and another cycle runs. What it publishes goes on
trial with the default roll-out, a thousand requests a day; in other towns a person puts the rule live. Prints a table.
"""

import asyncio
import hashlib
import json
import logging
import multiprocessing
import statistics
import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from gateway.domain import Feedback, Rule, RuleSet
from gateway.label_queue import waiting
from gateway.rules.decisions import put_live
from gateway.store.history import active_decisions
from optimizer.distillation.outcome import Outcome
from optimizer.monitoring.rollout.promises import BY_MODEL, BY_SIGNS
from optimizer.monitoring.shadow.telling import TELLING, TellingBook, telling_first
from tests.world import Asked, World, answer, configured, models, world

TASK: Final = "arithmetic"
DAY_S: Final = 86_400.0
APART_S: Final = DAY_S / 1000
RIGHT: Final = 0.7
STRONG_WRONG: Final = 0.2
RULE: Final = "Check the sum once more before you reply."
COPIES: Final = "copies the strong model's errors"
QUEUE: Final = 250
"""Requests that a person labels when asked to."""


class Effect(NamedTuple):
    """Shares of all questions that the rule fixes and breaks; ``copies``: it answers as the strong model errs."""

    fixed: float
    broken: float
    copies: bool = False

    @property
    def truth(self) -> float:
        return -STRONG_WRONG * RIGHT if self.copies else self.fixed - self.broken

    @property
    def agreement(self) -> float:
        """The change in agreement with the strong model."""
        return STRONG_WRONG if self.copies else (1 - STRONG_WRONG) * (self.fixed - self.broken)


EFFECTS: Final = {
    "helps": Effect(0.25, 0.03), "nothing": Effect(0.1, 0.1), "harms": Effect(0.05, 0.17),
    COPIES: Effect(0.0, 0.0, copies=True),
}  # fmt: skip


class Habit(NamedTuple):
    """Callers' feedback: shares of wrong and right replies, with the right answer or a thumb; a person's labels."""

    of_wrong: float = 0.0
    of_right: float = 0.0
    thumbs: bool = False
    queue: float = 0.0
    """Share of the audit sample that a person labels without being asked to."""
    shadow: float = 0.0
    """Share of the requests that the strong model answers as well."""


HABITS: Final = {
    "corrections of half of the wrong replies": Habit(of_wrong=0.5),
    "thumbs up and down for half": Habit(of_wrong=0.5, of_right=0.5, thumbs=True),
    "a person labels 5% from the queue": Habit(queue=0.1),
    "the strong model, wrong on 20%, looks at all": Habit(shadow=1.0),
    "the same, and a person labels half of the sample": Habit(shadow=1.0, queue=0.5),
}


def luck(text: str, salt: str) -> float:
    """A number of the question's own, 0..1."""
    digest = hashlib.blake2b(f"{salt} {text}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def weak(body: dict[str, Any], *, effect: Effect, salt: str) -> str:
    """The weak model: its reply depends on the question and on whether it sees the rule."""
    text = str(body["messages"][-1]["content"]).split("\n")[0]
    if not text.startswith("What is"):
        return "I do not know."
    right, wrong = answer(text), f"{float(answer(text)) + 7:g}"
    ok, draw = luck(text, f"{salt} base") < RIGHT, luck(text, f"{salt} rule")
    if any(RULE in str(message["content"]) for message in body["messages"]):
        if effect.copies:
            return strong_answer(text, salt) if strong_errs(text, salt) else right if ok else wrong
        ok = draw >= effect.broken / RIGHT if ok else draw < effect.fixed / (1 - RIGHT)
    return right if ok else wrong


def strong_errs(text: str, salt: str) -> bool:
    return luck(text, f"{salt} strong") < STRONG_WRONG


def strong_answer(text: str, salt: str) -> str:
    return f"{float(answer(text)) + (11 if strong_errs(text, salt) else 0):g}"


def strong(body: dict[str, Any], *, salt: str) -> str:
    """The strong model: its own answer, or the one rule when it is asked for rules."""
    text = str(body["messages"][-1]["content"])
    if text.startswith("What is"):
        return strong_answer(text, salt)
    return json.dumps([{"rule": RULE, "reason": "Sums were wrong."}])


class Said(NamedTuple):
    """What was said about one rule, and what came of it."""

    first: str
    """The first cycle."""
    last: str
    """The cycle after the queue was worked on; the first, if it asked for nothing."""
    claim: str
    promised: float | None
    covered: bool | None
    """The promised interval holds the truth of what is claimed: right replies, or agreement with the strong model."""
    state: str
    """At the end: live, on trial, off the air, never published."""
    days: float | None
    """Until it was off the air."""
    measured: float | None
    """What the status says rules change: right replies, or agreement."""
    holds: bool | None
    """That interval holds the truth."""
    gain: float | None = None
    """The true change of what is claimed for a rule that was called better."""

    @property
    def statements(self) -> list[bool]:
        """Whether each thing said is true: *better*, the promised interval, the measured interval."""
        better = self.gain > 0 if self.gain is not None else None
        return [true for true in (better, self.covered, self.holds) if true is not None]


class Town:
    """Callers with a habit."""

    def __init__(self, here: World, habit: Habit, salt: str) -> None:
        self.here, self.habit, self._salt, self._count, self._labelled = here, habit, salt, 0, 0

    async def live_through(self, requests: int) -> None:
        for _ in range(requests):
            self.here.clock[0] += APART_S
            self._count += 1
            one = await self.here.ask("")
            await self._say(one)
            if self._count % 20 == 0:
                await self.here.tick()
                if self.habit.queue and self._count % 100 == 0:
                    await self.label(self.habit.queue)

    async def _say(self, one: Asked) -> None:
        draw = luck(one.id, f"{self._salt} says")
        if draw >= (self.habit.of_right if one.right else self.habit.of_wrong):
            return
        right = {} if self.habit.thumbs else {"expected": float(await self._right(one))}
        thumb = {"correct": one.right} if self.habit.thumbs else {}
        reply = await self.here.client.post("/v1/feedback", json={"id": one.id, **right, **thumb})
        assert reply.status_code < 300, reply.text

    async def _right(self, one: Asked) -> str:
        await asyncio.to_thread(self.here.services.writer.flush, 10)
        exchange = self.here.store.exchange(one.id)
        assert exchange is not None
        return answer(json.loads(exchange.request)["messages"][-1]["content"])

    async def label(self, share: float = 1.0, most: int = QUEUE) -> None:
        """A person works on the queue, in its order, as ``preceptor label`` shows it."""
        store = self.here.store
        audited = store.audited(TASK, since=0.0, limit=10_000)
        telling = TELLING.read(store, TASK) or TellingBook()
        first = [exchange for exchange in map(store.exchange, telling.waiting) if exchange is not None]
        queue = telling_first(first, [entry.exchange for entry in waiting(audited)])
        for exchange in queue[: max(0, min(most, round(share * len(audited)) - self._labelled))]:
            text = json.loads(exchange.request)["messages"][-1]["content"]
            store.add_feedback(Feedback(
                exchange_id=exchange.id, created=self.here.clock[0], source="label", labeller="ann",
                expected=float(answer(text)), correct=exchange.reply == answer(text),
            ))  # fmt: skip
            self._labelled += 1


def in_short(outcome: Outcome | None) -> str:
    """The verdict, or the reason why nothing can be shown."""
    if outcome is None:
        return "no mistake to learn from"
    for reason in ("labels were chosen by outcome", "there are too few labels", "were passed over"):
        if reason in outcome.note:
            return f"nothing can be shown: {reason}"
    if "helped: " in outcome.note:
        return "no rules helped"
    return outcome.verdict


async def played(habit: Habit, effect: Effect, by_hand: bool, requests: int, seed: int) -> Said:
    """One town."""
    salt = str(seed)
    shadow = f"shadow = {{ share = {habit.shadow}, calls_per_day = 100000 }}\n"
    sizes = "max_items = 2000\nselection_items = 60\nconfirmation_items = 300\n"
    with tempfile.TemporaryDirectory() as folder:
        text = configured(Path(folder), task=shadow + "audit = { share = 0.5 }\n")
        text = text.replace("selection_items = 20\nconfirmation_items = 60\n", sizes)
        upstream = models(partial(weak, effect=effect, salt=salt), partial(strong, salt=salt))
        async with world(text, upstream) as here:
            town = Town(here, habit, salt)
            await town.live_through(requests)
            first = last = None
            if by_hand:
                here.store.publish(RuleSet(task=TASK, rules=(Rule(text=RULE),)))
                put_live(here.store, TASK, 1, now=here.clock[0], by="person", why="it looked fine")
                here.services.rules.swap(here.store.traffic_splits(), here.store.revision())
            else:
                first = last = await here.learn()
                if not here.store.rule_sets(TASK):
                    await town.label()
                    await town.live_through(120)
                    await town.label()
                    last = await here.learn() or first
            begun, ended = here.clock[0], None
            if here.store.rule_sets(TASK):
                for _ in range(3 * requests // 50):
                    await town.live_through(50)
                    now = active_decisions(here.store.history(TASK))
                    if now.canary is None and (now.live is None or now.live.version is None):
                        ended = (here.clock[0] - begun) / DAY_S
                        break
            return _said(here, effect, first, last, ended)


def _said(here: World, effect: Effect, first: Outcome | None, last: Outcome | None, ended: float | None) -> Said:
    now = active_decisions(here.store.history(TASK))
    state = "never published" if not here.store.rule_sets(TASK) else "off the air" if ended is not None else (
        "on trial" if now.canary is not None else "live")  # fmt: skip
    promise = last.promised if last is not None and last.adopted else None
    adopted = last.claim if last is not None and last.adopted else ""
    meant = effect.agreement if adopted.startswith("agreement") else effect.truth
    note = json.loads(here.store.note(f"live/{TASK}") or b"{}")
    benefit = note.get("benefit") or {}
    seen = benefit if benefit.get("of", BY_SIGNS) != BY_SIGNS else {}
    told = effect.agreement if seen.get("of", "").endswith(BY_MODEL) else effect.truth
    return Said(
        first=in_short(first), last=in_short(last), state=state, days=ended,
        claim=adopted,
        promised=promise.gain if promise else None,
        covered=promise.interval[0] <= meant <= promise.interval[1] if promise else None,
        measured=seen.get("change"),
        holds=seen["interval"][0] <= told <= seen["interval"][1] if seen else None,
        gain=meant if adopted else None,
    )  # fmt: skip


def play(name: str, rule: str, by_hand: bool, requests: int, seed: int) -> Said:
    return asyncio.run(played(HABITS[name], EFFECTS[rule], by_hand, requests, seed))


HEAD: Final = [
    "feedback", "the rule", "truth, points (agreement)", "the first cycle says", "after the queue", "right means",
    "promised", "held", "in the end", "days until off", "status measures", "held", "false statements",
    "towns",
]  # fmt: skip


def untrue(made: Sequence[Said]) -> str:
    """How many statements were false, of all that were made."""
    said = [true for run in made for true in run.statements]
    return f"{said.count(False)} of {len(said)}" if said else "-"


def row(name: str, rule: str, by_hand: bool, made: Sequence[Said]) -> str:
    """The towns of one cell as a row of the table."""

    def counted(values: Sequence[str]) -> str:
        return ", ".join(f"{value}: {count}" for value, count in Counter(filter(None, values)).most_common()) or "-"

    def middle(values: Sequence[float | None], scale: float, form: str) -> str:
        known = [scale * value for value in values if value is not None]
        return format(statistics.median(known), form) if known else "-"

    def share(values: Sequence[bool | None]) -> str:
        known = [value for value in values if value is not None]
        return f"{sum(known)} of {len(known)}" if known else "-"

    truth = f"{100 * EFFECTS[rule].truth:+.0f}"
    if HABITS[name].shadow:
        truth += f" ({100 * EFFECTS[rule].agreement:+.0f})"
    says = ["-"] * 2 if by_hand else [counted([run.first for run in made]), counted([run.last for run in made])]
    cells = [
        name, rule + (", live by hand" if by_hand else ""), truth, *says,
        counted([run.claim for run in made]), middle([run.promised for run in made], 100, "+.0f"),
        share([run.covered for run in made]), counted([run.state for run in made]),
        middle([run.days for run in made], 1, ".1f"), middle([run.measured for run in made], 100, "+.1f"),
        share([run.holds for run in made]), untrue(made), str(len(made)),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def cases() -> list[tuple[str, str, bool]]:
    """The cells: every habit with rules that help, do nothing and harm, by the gate and by hand."""
    rows = [(name, rule, by_hand) for name in HABITS for rule in ("helps", "nothing", "harms") for by_hand in (
        (False, True) if rule != "nothing" else (False,))]  # fmt: skip
    return [*rows, *((name, COPIES, False) for name in list(HABITS)[-2:])]


@click.command()
@click.option("--runs", default=3, show_default=True, help="Towns a row.")
@click.option("--requests", default=1000, show_default=True, help="Before the first cycle, and at most afterwards.")
@click.option("--only", default="", help="Rows of which the feedback begins with these words.")
@click.option("--processes", default=2, show_default=True)
def main(runs: int, requests: int, only: str, processes: int) -> None:
    """Play and print."""
    click.echo(f"| {' | '.join(HEAD)} |\n" + "|---" * len(HEAD) + "|")
    with multiprocessing.Pool(processes, initializer=logging.disable) as pool:
        everything = list[Said]()
        for name, rule, by_hand in cases():
            if name.startswith(only):
                made = pool.map(partial(play, name, rule, by_hand, requests), range(runs), chunksize=1)
                everything += made
                click.echo(row(name, rule, by_hand, made))
    click.echo(f"\n{untrue(everything)} statements were false: better, what was promised, what was measured.")


if __name__ == "__main__":
    main()
