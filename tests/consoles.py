"""A desk of four tasks for the console's tests and screenshots, scripted to the last reply, and visitors with keys."""

import contextlib
import json
import random
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import httpx

from gateway.domain import (
    Activation,
    Arm,
    Effect,
    Evidence,
    Exchange,
    Feedback,
    Measured,
    Rule,
    RuleRecord,
    RuleSet,
    Usage,
)
from gateway.proof import LabelSources, PromisedGain
from gateway.store.base import Store
from gateway.store.memory import MemoryStore
from gateway.teaching import DecisionRule, Example, Worksheet
from optimizer.demo.tickets import tickets, weak_reply
from optimizer.distillation.outcome import ChangedItem, Outcome
from optimizer.distillation.rejected import Rejected
from optimizer.monitoring.attention import ATTENTION, Attention
from optimizer.monitoring.daybook import DAY_S, DAYS, BookedDay, DayBook, LabelledReplies
from optimizer.monitoring.rollout.comparison import ArmCounts, PairCounts
from optimizer.monitoring.rollout.evidence_path import PATHS, EvidencePath, EvidencePoint, PathBook
from optimizer.monitoring.rollout.guardrails import Guardrail
from optimizer.monitoring.rollout.promises import PROMISES, FieldMeasurement, LedgerEntry, Promise
from optimizer.monitoring.rollout.status import STATUS, Benefit, Compared, RolloutStatus
from optimizer.plugin import plugin
from tests.fakes import FakeUpstream, Served, gateway, loopback_client, services, settings

NOW = 1_795_000_000.0
KEY = "an-admin-key-for-tests"
CONFIG = f"""
[server]
port = 0
admin_key = "{KEY}"
[upstreams.ollama]
kind = "openai"
base_url = "http://127.0.0.1:9/v1"
[upstreams.cloud]
kind = "openai"
base_url = "http://127.0.0.1:9/v1"
[models.small]
upstream = "ollama"
model = "qwen2.5-1.5b"
price = {{ input = 0.05, output = 0.1 }}
[models.large]
upstream = "cloud"
model = "gpt-4.1"
price = {{ input = 2.0, output = 8.0 }}
[tasks.ticket-desk]
weak = "small"
strong = "large"
[tasks.refund-policy]
weak = "small"
strong = "large"
[tasks.invoice-fields]
weak = "small"
strong = "large"
[tasks.meeting-notes]
weak = "small"
strong = "large"
[optimizer]
enabled = false
"""
PROMPT = "Route the ticket to a desk. Reply with one word: billing, shipping, returns or technical."
RULES = (
    Rule(text="If the ticket mentions a gift card, answer billing.", reason="Gift cards are money, whatever else is wrong."),
    Rule(text="If the ticket mentions a battery, answer shipping.", reason="Batteries travel as dangerous goods."),
    Rule(text="If the ticket mentions a deposit, answer returns.", reason="Deposits are paid back with the goods."),
)  # fmt: skip


def evidence(before: float, after: float, n: int, fixed: int, broken: int, *, rules: tuple[Rule, ...] = ()) -> Evidence:
    """A verdict with its numbers."""
    change = after - before
    spread = (change - 0.09, min(change + 0.09, 1.0))
    return Evidence(
        verdict="better",
        before=Measured(accuracy=before, n=n, output_tokens=4, latency_s=0.4),
        after=Measured(accuracy=after, n=n, output_tokens=4, latency_s=0.45),
        fixed=fixed, broken=broken, items_used=n, p_value=0.0003, interval=spread, clusters=n,
        note="the change helps; version published", claim="right by people's labels",
        promised=PromisedGain(gain=change - 0.03, interval=(spread[0] - 0.02, spread[1])),
        labels=LabelSources(people=n, labellers=("anna", "ben"), asked=n - 20, unasked=20),
        rules=tuple(_record(place, rule) for place, rule in enumerate(rules)),
    )  # fmt: skip


def _record(place: int, rule: Rule) -> RuleRecord:
    change = (0.19, 0.11, 0.07)[place % 3]
    effect = Effect(
        change=change, interval=(change - 0.06, change + 0.06), tokens=14, items=40, against="the set without it"
    )
    return RuleRecord(
        id=rule.id, text=rule.text, reason=rule.reason, status="kept", mistakes=("a", "b", "c")[: 3 - place % 2],
        groups=2, tokens=14, effect=effect,
    )  # fmt: skip


def exchange(number: int, task: str, question: str, reply: str, **fields: Any) -> Exchange:
    """One recorded request, some minutes before now."""
    body = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "system", "content": PROMPT}, {"role": "user", "content": question}],
    }
    values: dict[str, Any] = {
        "id": f"chatcmpl-{task}-{number:05d}", "created": NOW - 240.0 * (600 - number), "task": task,
        "client_model": "gpt-4o-mini", "model": "small", "arm": "weak", "rules": None, "stream": False, "status": "ok",
        "http_status": 200, "request": json.dumps(body).encode(), "reply": reply, "finish_reason": "stop",
        "usage": Usage(prompt_tokens=92 + number % 30, output_tokens=3), "latency_ms": 310.0 + number % 90,
        "first_byte_ms": 120.0, "cost_usd": 0.000006, "cluster": f"c{number:05d}",
    }  # fmt: skip
    return Exchange(**{**values, **fields})


def stocked(store: Store | None = None) -> Store:
    """A desk after five weeks: a live version, a trial, a harm, and a task that just began."""
    store = store or MemoryStore()
    _ticket_desk(store)
    _invoice_fields(store)
    _refund_policy(store)
    store.record([exchange(n, "meeting-notes", f"Sum up call {n}.", "Three points were agreed.") for n in range(9)])
    ATTENTION.write(
        store, Attention(reasons={"invoice-fields": "harm: bad replies on trial: 14 of 52 (27%) against 31 of 890 (3%)"})
    )  # fmt: skip
    return store


def _ticket_desk(store: Store) -> None:
    task, shots = "ticket-desk", tickets(7)
    for count in (1, 2, 3):
        tested = evidence((0.52, 0.66, 0.78)[count - 1], (0.66, 0.78, 0.93)[count - 1], 180, 26, 4, rules=RULES[:count])
        examples = tuple(
            Example(question=problem.question, answer=str(problem.answer), origin=f"tickets.jsonl:{n}", shared=True)
            for n, problem in zip(range(4 * (count - 1)), tickets(3), strict=False)
        )
        store.publish(
            RuleSet(task=task, rules=RULES[:count], created=NOW - (40 - 10 * count) * DAY_S, decided_by="cycle",
                    evidence=tested, parent=count - 1 or None, examples=examples)
        )  # fmt: skip
    entries = [(1, -30, "canary", 0.05), (1, -29, "live", 1.0), (2, -20, "canary", 0.05), (2, -18, "live", 1.0),
               (3, -10, "canary", 0.25), (3, -8, "live", 1.0)]  # fmt: skip
    for version, day, kind, share in entries:
        store.activate(
            Activation(task=task, version=version, created=NOW + day * DAY_S, by="watch", kind=kind, share=share,  # type: ignore[arg-type]
                       why="no harm in 412 exchanges: harm from 5 points up would have been seen")
        )  # fmt: skip
    _outcomes(store, task)
    recorded: list[Exchange] = []
    for number, problem in zip(range(400), shots, strict=False):
        arm: Arm = "holdback" if number % 12 == 0 else "weak"
        known = weak_reply(
            {"messages": [{"content": " ".join(rule.text for rule in RULES)}, {"content": problem.question}]}
        )
        plain = weak_reply({"messages": [{"content": problem.question}]})
        recorded.append(
            exchange(number, task, problem.question, plain if arm == "holdback" or number % 17 == 0 else known, arm=arm,
                     rules=None if arm == "holdback" else 3, audit_rate=0.1 if number % 10 == 0 else 0.0, key="shop")
        )  # fmt: skip
    store.record(recorded)
    for given in recorded[:300:20]:
        store.add_feedback(
            Feedback(exchange_id=given.id, created=given.created + 60, correct=True, source="label", labeller="anna")
        )
    DAYS.write(store, DayBook(days=tuple(_days(35, 0.93, 0.62, (29, 18, 8)))), task)
    promise = Promise(version=3, made_at=NOW - 10 * DAY_S, against=2, change=0.12, interval=(0.04, 0.22), items=180)
    measured = FieldMeasurement(
        change=0.14, interval=(0.09, 0.19), units=412, of="labelled conversations", since=NOW - 8 * DAY_S, until=NOW
    )
    older = Promise(version=2, made_at=NOW - 20 * DAY_S, against=1, change=0.10, interval=(0.02, 0.18), items=180)
    before = FieldMeasurement(
        change=0.08,
        interval=(0.03, 0.13),
        units=380,
        of="pairs of answers",
        since=NOW - 18 * DAY_S,
        until=NOW - 8 * DAY_S,
    )
    PROMISES.write(
        store, (LedgerEntry(promise=older, measured=before, verdict="held"), LedgerEntry(promise=promise, measured=measured, verdict="held")), task
    )  # fmt: skip
    rails = (
        Guardrail(name="paired answers", e_value=0.02, limit=333.3, why="of 96 requests answered anew, 2 were wrong with it alone, 21 without alone"),
        Guardrail(name="bad replies", e_value=0.4, limit=1000, why="6 of 871 (1%) against 4 of 96 (4%)"),
    )  # fmt: skip
    compared = Compared(
        subject="holdback", version=3, since=NOW - 8 * DAY_S, challenger=ArmCounts(seen=871, bad=6, labelled=320, wrong=22),
        incumbent=ArmCounts(seen=96, bad=4, labelled=92, wrong=35), guardrails=rails, pairs=PairCounts(n=96, against=2, for_=21),
        power="harm from 4 points up would have been seen by now, in 96 pairs of answers",
    )  # fmt: skip
    worth = Benefit(change=0.14, interval=(0.09, 0.19), of="labelled conversations", units=412)
    STATUS.write(
        store,
        RolloutStatus(looked=NOW - 4, live=3, weak_share=1.0, comparisons=(compared,), benefit=worth,
                      drift="93% right of 120 labels, as promised",
                      lines=("serves weak: version 3 is live",)),
        task,
    )  # fmt: skip


def _sheet() -> Worksheet:
    return Worksheet(
        schema={
            "type": "object",
            "properties": {
                "item": {"type": "string", "enum": ["shoes", "gift card", "other"], "description": "what is to be returned"},
                "days": {"type": "integer", "description": "days since the purchase"},
            },
        },
        decisions=(
            DecisionRule(when="item == 'gift card'", result="yes", reason="gift cards are money"),
            DecisionRule(when="days > 30", result="no", reason="the house's limit"),
            DecisionRule(when="", result="yes"),
        ),
    )  # fmt: skip


def _outcomes(store: Store, task: str) -> None:
    texts = [problem for problem, _ in zip(tickets(11), range(80), strict=False)]
    rules = " ".join(rule.text for rule in RULES)
    changed = [
        ChangedItem(
            id=f"i{place}", input=problem.question, expected=problem.answer,
            before=weak_reply({"messages": [{"content": problem.question}]}),
            after=weak_reply({"messages": [{"content": rules}, {"content": problem.question}]}),
        )
        for place, problem in enumerate(texts)
    ]  # fmt: skip
    fixed = tuple(item for item in changed if item.after == item.expected != item.before)[:10]
    broken = tuple(
        ChangedItem(id=item.id, input=item.input, expected=item.expected, before=str(item.expected), after="technical")
        for item in changed if item.before == item.expected
    )[:2]  # fmt: skip
    proof = evidence(0.78, 0.93, 180, 31, 4, rules=RULES)
    good = Outcome(
        task=task, note="version 3 published; on trial", verdict="better", adopted=True, fixed=31, broken=4, items_used=180,
        p_value=0.0003, interval=proof.interval, before=proof.before, after=proof.after, rules=RULES, version=3, by="cycle",
        promised=proof.promised, claim=proof.claim, labels=proof.labels, fixed_examples=fixed, broken_examples=broken,
        calls=812, tokens=240_000, records=(*proof.rules, RuleRecord(id="x", text="Keep the reply short and read the ticket twice.", reason="It sounds sensible.", status="dropped", why="no effect without it")),
        rejected=(Rejected(what="If the ticket mentions a password, answer returns.", why="left out: worse with it"),),
    )  # fmt: skip
    poor = Outcome(
        task=task, note="no rules helped: neither a gain nor a loss is shown", verdict="cannot tell", items_used=160,
        before=proof.after, after=proof.after, interval=(-0.03, 0.03), fixed=3, broken=3, by="cycle", calls=640, tokens=180_000,
        fixed_examples=fixed[:3], broken_examples=broken[:1],
    )  # fmt: skip
    for outcome, day in ((good, 10), (poor, 3)):
        record = store.begin_cycle(task, NOW - day * DAY_S, b"{}")
        store.end_cycle(record.id, NOW - day * DAY_S + 1900, outcome.encoded())


def _days(days: int, after: float, without: float, changes: tuple[int, ...]) -> Iterator[BookedDay]:
    random_ = random.Random(4)
    today = int(NOW // DAY_S)
    for back in range(days - 1, -1, -1):
        version = sum(back < change for change in changes)
        share = without - 0.02 + (after - without + 0.02) * version / max(1, len(changes))
        n = 34 + random_.randrange(12)
        right = sum(random_.random() < share for _ in range(n))
        plain = sum(random_.random() < without for _ in range(12))
        many = 1400 + random_.randrange(300) - (back % 7 in (1, 2)) * 900
        yield BookedDay(
            day=today - back, exchanges=many, errors=many // 400, by_weak=many - many // 50, cost=many * 0.000006,
            saved=many * 0.00021,
            labels=(
                LabelledReplies(version=None, audited=12, audited_right=plain),
                LabelledReplies(version=version or None, audited=n, audited_right=right),
            ) if version else (LabelledReplies(version=None, audited=n, audited_right=right),),
        )  # fmt: skip


def _refund_policy(store: Store) -> None:
    task = "refund-policy"
    rules = (Rule(text="Goods older than 30 days are refused, gift cards excepted.", reason="House rule."),)
    proof = evidence(0.61, 0.84, 140, 36, 4, rules=rules)
    store.publish(
        RuleSet(task=task, rules=rules, created=NOW - 5 * DAY_S, decided_by="cycle", evidence=proof, worksheet=_sheet())
    )
    for share, hours in ((0.05, 60), (0.25, 20)):
        store.activate(
            Activation(task=task, version=1, created=NOW - hours * 3600, by="watch", kind="canary", share=share,
                       why="gate: the change helps")
        )  # fmt: skip
    rails = (
        Guardrail(name="paired answers", e_value=0.08, limit=333.3, why="of 42 requests answered anew, 1 was wrong with it alone, 8 without alone"),
        Guardrail(name="bad replies", e_value=1.3, limit=1000, why="4 of 212 (2%) against 11 of 640 (2%): about 0 requests harmed"),
        Guardrail(name="complaints", e_value=2.1, limit=2000, why="2 complaints against 1"),
        Guardrail(name="labelled mistakes", e_value=0.6, limit=2500, why="3 of 18 (17%) against 14 of 40 (35%)"),
        Guardrail(name="latency", e_value=0.5, limit=5000, why="above 3 times the latency in 0 of 14 comparisons"),
        Guardrail(name="output tokens", e_value=0.5, limit=5000, why="above 3 times the tokens in 0 of 14 comparisons"),
    )  # fmt: skip
    compared = Compared(
        subject="trial", version=1, since=NOW - 60 * 3600, challenger=ArmCounts(seen=212, bad=4, labelled=18, wrong=3, complaints=2),
        incumbent=ArmCounts(seen=640, bad=11, labelled=40, wrong=14, complaints=1), guardrails=rails, pairs=PairCounts(n=42, against=1, for_=8),
        power="harm from 9 points up would have been seen by now, in 42 pairs of answers; harm from 5 points up takes about 2 days more at this traffic",
    )  # fmt: skip
    waits = "the trial of version 1 waits for evidence, or 11.5 more days: harm from 5 points up takes about 2 days more at this traffic"
    STATUS.write(
        store,
        RolloutStatus(looked=NOW - 4, canary=1, canary_share=0.25, weak_share=1.0, comparisons=(compared,), waiting=(waits,)),
        task,
    )  # fmt: skip
    DAYS.write(store, DayBook(days=tuple(_days(12, 0.8, 0.61, (2,)))), task)
    PATHS.write(store, PathBook(paths=(_path(compared),)), task)
    store.record([
        exchange(n, task, f"May I return shoes after {n} days?", "yes" if n < 30 else "no", arm="canary" if n % 4 == 0 else "weak",
                 rules=1 if n % 4 == 0 else None, audit_rate=0.2 if n % 5 == 0 else 0.0)
        for n in range(60)
    ])  # fmt: skip


def _path(compared: Compared, looks: int = 40) -> EvidencePath:
    """A path that wanders to the evidence of now."""
    random_ = random.Random(7)
    points = []
    for look in range(looks + 1):
        far = look / looks
        values: dict[str, float] = {
            rail.name: rail.e_value**far * (1 if look in (0, looks) else 10 ** random_.uniform(-0.25, 0.25))
            for rail in compared.guardrails
        }
        at, seen = compared.since + far * (NOW - compared.since), round(far * compared.challenger.seen)
        points.append(EvidencePoint(at=at, seen=seen, e_values=values))
    limits: dict[str, float] = {rail.name: rail.limit for rail in compared.guardrails}
    return EvidencePath(
        subject=compared.subject, version=compared.version, since=compared.since, limits=limits, points=tuple(points)
    )


def _invoice_fields(store: Store) -> None:
    task = "invoice-fields"
    rules = (Rule(text="Write dates as YYYY-MM-DD.", reason="The importer takes nothing else."),)
    store.publish(RuleSet(task=task, rules=rules, created=NOW - 6 * DAY_S, decided_by="import"))
    store.activate(
        Activation(task=task, version=1, created=NOW - 5 * DAY_S, by="command line", why="activated by hand")
    )
    wrong = "harm: bad replies on trial: 14 of 52 (27%) against 31 of 890 (3%): about 12 requests harmed"
    STATUS.write(store, RolloutStatus(looked=NOW - 4, live=1, weak_share=1.0, wrong=(wrong,), lines=(wrong,)), task)
    DAYS.write(store, DayBook(days=tuple(_days(6, 0.7, 0.72, (5,)))), task)
    store.record(
        [exchange(n, task, f"Read invoice {n}.", f'{{"date": "2026-11-0{n % 9 + 1}"}}', rules=1) for n in range(40)]
    )


@contextlib.asynccontextmanager
async def console(store: Store | None = None, text: str = CONFIG) -> AsyncIterator[Served]:
    """A gateway on loopback with its console, at a fixed time."""
    upstream = FakeUpstream(lambda body: "4")
    config = settings(text)
    made = services(config, dict.fromkeys(config.upstreams, upstream), store or stocked(), wall_clock=lambda: NOW)
    async with gateway(made, [plugin]) as url, loopback_client(url) as client:
        yield Served(url, made, client)


def token_in(page: str) -> str:
    """The token that a page's forms carry."""
    found = re.search(r'name="token" value="([0-9a-f]+)"', page)
    assert found is not None
    return found[1]


async def signed_in(served: Served, key: str = KEY) -> httpx.AsyncClient:
    """The client, with a session."""
    page = await served.client.get("/ui/login")
    reply = await served.client.post("/ui/login", data={"key": key, "token": token_in(page.text)})
    assert reply.status_code == 303, reply.text
    return served.client


async def sent(client: httpx.AsyncClient, path: str, form: Mapping[str, Any], on: str | None = None) -> httpx.Response:
    """Send a form with the token of the page that holds it."""
    page = await client.get(on or path)
    return await client.post(path, data={"token": token_in(page.text), **form})
