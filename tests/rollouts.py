"""A town of callers for roll-outs: seeded exchanges on an injected clock, shared out as ``gateway.routing.route`` does,
looked at by the pure half of the watch every few seconds."""

import math
import random
import statistics
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import msgspec

from gateway.domain import Activation, Arm, Feedback, RuleSet, Source, Usage
from gateway.settings import Rollout, Task
from gateway.store.base import Judged, Observed
from gateway.store.history import ActiveDecisions, active_decisions
from optimizer.monitoring.rollout.answer_pairs import AnswerPair
from optimizer.monitoring.rollout.arms import holdback_share, weak_share
from optimizer.monitoring.rollout.comparison import Comparison, Look, unit_of
from optimizer.monitoring.rollout.decide import Assessment, decide
from optimizer.monitoring.rollout.state import RolloutState
from optimizer.monitoring.shadow.both_versions import Contest, contest_of
from optimizer.monitoring.shadow.paired_answers import is_left_out
from optimizer.monitoring.shadow.telling import TellingBook, telling_first

Chance = Callable[[Arm, int | None, float], float]
"""Arm, rule set and time -> chance of a bad reply."""
Known = Literal["signs", "shadow", "label", "client", "queue"]
"""How a bad reply becomes known: it shows a sign of failure; the strong model or a person looks at a share of all
replies; clients complain of some of the wrong ones; or a person works on the label queue once a day."""

LOOK_S = 5.0
_AUDITED = 0.05
"""Share of the requests in the audit sample of a task with a label queue."""
_SCREENED = 250
"""Requests a day that both versions answer before anybody labels them: by half of the calls of a day, the default."""
_AMOUNTS = [math.exp(0.5 * statistics.NormalDist().inv_cdf((place + 0.5) / 1000)) for place in range(1000)]
"""Log-normal factors, equally likely: to draw one of them is quick."""
START = 1_000_000.0


def observed(
    number: int, created: float, arm: Arm = "weak", rules: int | None = None, *, bad: bool | None = None,
    source: Source = "outcome", latency_ms: float = 500.0, tokens: int = 20, model: str = "small", **fields: object,
) -> Observed:  # fmt: skip
    """One row; ``bad=None``: nobody knows. Bad by an outcome is a sign of failure."""
    given: dict[str, object] = {"correct": not bad, "source": source} if bad is not None else {}
    given |= {"audit_rate": 1.0} if source == "label" else {}
    signs = {"signals": "empty"} if bad and source == "outcome" else {}
    row = Observed(
        id=f"x{number:08d}", created=created, model=model, arm=arm, rules=rules, status="ok", latency_ms=latency_ms,
        usage=Usage(prompt_tokens=10, output_tokens=tokens),
    )  # fmt: skip
    return msgspec.structs.replace(row, **{**given, **signs, **fields})


def judged(row: Observed, *, key: str | None = None) -> Judged:
    """The judgement that a row shows."""
    assert row.source is not None
    feedback = Feedback(exchange_id=row.id, created=row.created, correct=row.correct, source=row.source, key=key)
    return Judged(exchange=row, feedback=feedback)


def looking(
    rows: Sequence[Observed] = (), now: float = START + 1000, *, labels: Sequence[Judged] = (),
    pairs: Sequence[AnswerPair] = (), full: bool = False,
) -> Look:  # fmt: skip
    """All that a look brings."""
    return Look(rows=rows, full=full, judged=labels, pairs=pairs, weak="small", now=now)


def pair(
    number: int, difference: int | None, *, version: int = 2, against: int | None = 1, at: float = START + 1,
    on_challenger: bool = True, at_random: bool = True, key: str | None = None, unit: str | None = None,
) -> AnswerPair:  # fmt: skip
    """The result of answering a request anew; each of a conversation of its own."""
    return AnswerPair(
        number=number, unit=unit or f"u{number}", at=at, version=version, against=against, on_challenger=on_challenger,
        at_random=at_random, difference=difference, key=key,
    )  # fmt: skip


def section(serve: str = "weak", **rollout: object) -> Task:
    """A task between two models; no harm need be ruled out, and no more is held back, unless a test says so."""
    given = {"harm": 1.0, "holdback_first": 0.0, **rollout}
    return Task(weak="small", strong="large", serve=serve, rollout=Rollout(**given))  # type: ignore[arg-type]


def entry(
    kind: str, version: int | None, created: float = START, *, share: float = 1.0, by: str = "cycle"
) -> Activation:
    return Activation(task="t", version=version, created=created, by=by, kind=kind, share=share)  # type: ignore[arg-type]


def of_subject(comparisons: Sequence[Comparison], subject: str) -> Comparison:
    return next(comparison for comparison in comparisons if comparison.pairing.subject == subject)


class _Decided(NamedTuple):
    """A history of so many entries, and what it says."""

    entries: int = -1
    now: ActiveDecisions = ActiveDecisions()
    contest: Contest | None = None
    weak: float = 1.0
    """The weak model's share of the conversations."""
    held_back: float = 0.0


class Town:
    """A task's traffic and the watch over it."""

    def __init__(
        self, task: Task, history: Sequence[Activation], chance: Chance, *, seed: int, per_second: float = 4.0,
        known: Known = "signs", share: float = 1.0, pairs: bool = False, alike: float = 1.0,
        tokens: Callable[[Arm, int | None], float] = lambda arm, rules: 20.0,
        lookup: Callable[[int], RuleSet | None] = lambda version: RuleSet(task="t", version=version),
        agrees: float | None = None, look_s: float = LOOK_S, turns: int = 1, apart: float = 0.0,
        pace: Callable[[float], float] = lambda at: 1.0, delay_s: float = 0.0, keep: int = 1000,
    ) -> None:  # fmt: skip
        """``share``: of all replies (of the wrong ones, for clients) that are looked at. ``alike``: of the requests on
        which both versions fail or succeed by the same luck. ``turns``: of a conversation, on average; with ``apart``
        as the correlation of their fates. ``pace``: times the traffic at a time. ``delay_s``: of labels, on average.
        ``keep``: rows that a look sees.
        """
        self.task, self.history, self.now = task, list(history), START
        self.state, self.assessment = RolloutState(), Assessment()
        self.rows = list[Observed]()
        self.harmed = 0
        """Replies that only the rules made bad."""
        self._new = list[tuple[float, Judged, float]]()
        """Labels with the time at which they arrive, and the luck of their request."""
        self._chance, self._known, self._share, self._pairs, self._alike = chance, known, share, pairs, alike
        self._tokens, self._agrees, self._look_s, self._lookup = tokens, agrees, look_s, lookup
        self._per_second, self._randomness, self._pace, self._delay_s = per_second, random.Random(seed), pace, delay_s
        self._turns, self._apart, self._numbers, self._keep = turns, apart, 0, keep
        self._conversations = list[tuple[str, float, float]]()
        """Under way: name, place among the arms, and luck."""
        self._phase = self._randomness.random() if known == "queue" else 0.0
        """Share of a day from the last work on the queue to the beginning."""
        self._book, self._day, self._screened = TellingBook(people_at=START), 0, 0
        self._known_decided, self._met = _Decided(), set[str]()
        self._lucks = dict[str, tuple[Judged, float, float]]()
        """Of replies that the queue may ask about: the label, and the luck of either version."""

    def live_through(self, seconds: float) -> None:
        """Traffic with a look every few seconds."""
        for _ in range(round(seconds / self._look_s)):
            self.traffic(self._look_s)
            self.look()

    def until(self, holds: Callable[[], bool], *, at_most_s: float) -> bool:
        """Whether it came to hold."""
        for _ in range(round(at_most_s / self._look_s)):
            if holds():
                return True
            self.traffic(self._look_s)
            self.look()
        return holds()

    def traffic(self, seconds: float) -> None:
        """Exchanges, evenly spread."""
        exact = seconds * self._per_second * self._pace(self.now)
        count = int(exact) + (self._randomness.random() < exact % 1)
        for at in range(count):
            self._ask(self.now + seconds * at / count)
        self.now += seconds
        del self.rows[: -self._keep]

    def look(self) -> None:
        """What ``watch.look`` does, without a store."""
        arrived = [known for known in self._new if known[0] <= self.now]
        self._new = [known for known in self._new if known[0] > self.now]
        pairs = self._answered_anew(arrived) if self._pairs else []
        if self._known == "queue":
            arrived, pairs = [], self._worked_off()
        late = {label.exchange.id: label.exchange for _, label, _ in arrived} if self._delay_s else {}
        self.rows = [late.get(row.id, row) for row in self.rows] if late else self.rows
        look = looking(self.rows, self.now, labels=[label for _, label, _ in arrived], pairs=pairs)
        self.state = self.state.after(self.task, self.history, self._lookup, look)
        self.assessment = decide(
            "t", self.task, self.history, self.state.comparisons, self.state.steps, self.state.agreement, self.now
        )
        if self.assessment.decision is not None:
            self.history.append(self.assessment.decision)

    def kill(self) -> None:
        """The process forgets nothing that was noted."""
        self.state = msgspec.json.decode(msgspec.json.encode(self.state), type=RolloutState)

    def _ask(self, created: float) -> None:
        name, place, fate = self._conversation()
        arm, rules = self._arm(place)
        luck = fate if self._randomness.random() < self._apart**0.5 else self._randomness.random()
        bad = luck < self._chance(arm, rules, created)
        plain: Arm = "strong" if arm == "strong" else "weak"
        self.harmed += bad and luck >= self._chance(plain, None, created)
        source: Source = "outcome" if self._known in ("signs", "queue") else self._known  # type: ignore[assignment]
        audited = 1.0
        looked_at = self._randomness.random() < (self._share if source != "client" or bad else 0.0)
        knows = (bad or None) if source == "outcome" else bad if looked_at else None
        if self._agrees is not None and arm == "weak" and self._randomness.random() < 0.5:
            knows, source = self._randomness.random() >= self._agrees, "shadow"
        self._numbers += 1
        if self._known == "queue":
            audited, knows, source = self._randomness.random() < _AUDITED, None, "outcome"
        row = observed(
            self._numbers, created, arm, rules, bad=knows, source=source, audit_rate=audited, cluster=name,
            latency_ms=400 * self._amount(), model="large" if arm == "strong" else "small",
            tokens=max(round(self._tokens(arm, rules) * self._amount()), 1),
        )  # fmt: skip
        if row.source not in (None, "outcome"):
            delay = self._randomness.expovariate(1 / self._delay_s) if self._delay_s else 0.0
            self._new.append((created + delay, judged(row), luck))
            row = msgspec.structs.replace(row, correct=None, source=None) if delay else row
        if self._known == "queue":
            self._screen(row, bad, luck)
        self.rows.append(row)

    def _screen(self, row: Observed, bad: bool, luck: float) -> None:
        """What ``telling_requests`` does with a new request, and the audit sample."""
        contest = self._decided().contest
        if contest is None:
            return
        self._book = self._book.begun(contest.name, self.now)
        other = luck if self._randomness.random() < self._alike else self._randomness.random()
        label = judged(msgspec.structs.replace(row, correct=not bad, source="label"))
        if row.audit_rate:
            self._lucks[row.id] = label, luck, other
        elif self._screened < _SCREENED and self._is_new(unit_of(row)):
            self._screened += 1
            mine, theirs = self._wrong(contest, row, luck, other)
            alike = mine == theirs and (not mine or self._randomness.random() < 0.5)  # two wrong answers may differ
            self._met.add(unit_of(row))
            self._book = self._book.looked_at(row.id, unit_of(row), equal=alike)
            if not alike:
                self._lucks[row.id] = label, luck, other

    def _is_new(self, unit: str) -> bool:
        """``TellingBook.is_new``; a conversation that was never met need not be looked for in the book."""
        return unit not in self._met or self._book.is_new(unit)

    def _wrong(self, contest: Contest, row: Observed, luck: float, other: float) -> tuple[bool, bool]:
        """Whether the version of a contest, and the other one, err on a request."""
        arms: tuple[Arm, Arm] = ("canary", "weak") if contest.trial else ("weak", "holdback")
        first, second = (luck, other) if row.arm == arms[0] else (other, luck)
        mine = first < self._chance(arms[0], contest.version, row.created)
        return mine, second < self._chance(arms[1], contest.against, row.created)

    def _worked_off(self) -> list[AnswerPair]:
        """A person works on the queue for a while every day: so many requests as ``share`` of a day's traffic."""
        contest, day = contest_of(self.history, self._lookup), int((self.now - START) / 86_400 + self._phase)
        if contest is None or day == self._day:
            return []
        self._day, self._screened = day, 0
        audited = [name for name, (label, _, _) in self._lucks.items() if label.exchange.audit_rate]
        queue = telling_first(self._book.waiting, audited)[: round(self._share * self._per_second * 86_400)]
        pairs, number = list[AnswerPair](), self.state.paired
        for name in queue:
            label, luck, other = self._lucks.pop(name)
            if is_left_out(label, self._book):
                continue
            if name in self._book.waiting:
                self._book, equal = self._book.with_label(name, usable=True)
            else:
                self._met.add(unit_of(label.exchange))
                self._book, equal = self._book.with_unit(unit_of(label.exchange)), 0
            mine, theirs = self._wrong(contest, label.exchange, luck, other)
            number += 1
            made = pair(number, int(mine) - int(theirs), version=contest.version, against=contest.against,
                        at=self.now, unit=label.exchange.cluster)  # fmt: skip
            pairs.append(msgspec.structs.replace(made, equal=equal))
        self._lucks = {name: known for name, known in self._lucks.items() if name in self._book.waiting}
        return pairs

    def _conversation(self) -> tuple[str, float, float]:
        draw = self._randomness.random
        if self._conversations and draw() < 1 - 1 / self._turns:
            return self._conversations[int(draw() * len(self._conversations))]
        self._conversations = [*self._conversations, (f"c{self._numbers}", draw(), draw())][-5:]
        return self._conversations[-1]

    def _answered_anew(self, arrived: Sequence[tuple[float, Judged, float]]) -> list[AnswerPair]:
        """What the versions under comparison answer to the labelled requests."""
        contest = contest_of(self.history, self._lookup)
        if contest is None:
            return []
        pairs, number = list[AnswerPair](), self.state.paired
        for at, label, luck in arrived:
            arms = ("canary", "weak") if contest.trial else ("weak", "holdback")
            at_random = label.feedback.source != "client"
            if label.exchange.arm not in (("weak", "canary", "holdback") if at_random else arms):
                continue
            other = luck if self._randomness.random() < self._alike else self._randomness.random()
            first, second = (luck, other) if label.exchange.arm == arms[0] else (other, luck)
            mine = first < self._chance(arms[0], contest.version, at)  # type: ignore[arg-type]
            theirs = second < self._chance(arms[1], contest.against, at)  # type: ignore[arg-type]
            number += 1
            pairs.append(
                pair(
                    number, int(mine) - int(theirs), version=contest.version, against=contest.against, at=self.now,
                    on_challenger=label.exchange.arm == arms[0], at_random=at_random, unit=label.exchange.cluster,
                )
            )  # fmt: skip
        return pairs

    def _decided(self) -> "_Decided":
        """The decisions in effect, read once for each history."""
        if self._known_decided.entries != len(self.history):
            now = active_decisions(self.history)
            self._known_decided = _Decided(
                len(self.history), now, contest_of(self.history, self._lookup),
                weak_share(self.task, now), holdback_share(self.task, now),
            )  # fmt: skip
        return self._known_decided

    def _amount(self) -> float:
        """``random.choice`` of the factors, in a third of its time."""
        bits = self._randomness.getrandbits
        at = bits(10)
        while at >= len(_AMOUNTS):
            at = bits(10)
        return _AMOUNTS[at]

    def _arm(self, place: float) -> tuple[Arm, int | None]:
        """The arm of a conversation by its place, as the gateway's hashes deal them out."""
        decided = self._decided()
        now = decided.now
        digits = int(place * 2**52)  # three draws of its own for each conversation
        draws = iter([(digits >> shift & 0x1FFFF) / 2**17 for shift in (0, 17, 34)])
        live = now.live.version if now.live is not None else None
        if next(draws) >= decided.weak:
            return "strong", None
        if next(draws) < decided.held_back:
            return "holdback", None
        if now.canary is not None and next(draws) < now.canary.share:
            return "canary", now.canary.version
        return "weak", live
