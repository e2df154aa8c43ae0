"""A comparison of two arms as it grows: every exchange, label and pair of answers counts once.

It is folded forward look by look. Exchanges may come again, so it remembers the marks of each; labels and pairs come
once (``Store.judged``, ``answer_pairs``). Decides nothing: the evidence is ``evidence``'s, alpha is divided here.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from gateway.domain import Value
from gateway.store.base import Judged, Observed
from optimizer.monitoring.rollout.answer_pairs import AnswerPair
from optimizer.monitoring.rollout.arms import PAST_S, Pairing
from optimizer.monitoring.rollout.complaints import Complaints
from optimizer.monitoring.rollout.evidence import TRIAL, TRIAL_PAIRS, Stream, UnitOutcome
from optimizer.monitoring.rollout.past import Past, is_complaint, past_of
from optimizer.statistics.medians import MedianTest

SETTLED_S = 15.0
"""Seconds between the end of a reply and its count: its signs of failure are searched until then."""
_COUNTED, _BAD = 1, 2
_NAME = 16
"""Characters of a conversation's name, from its end."""


class ArmCounts(Value, frozen=True):
    """An arm in numbers, since the comparison began."""

    seen: int = 0
    bad: int = 0
    labelled: int = 0
    """Labels that were asked for whatever the outcome was."""
    wrong: int = 0
    """Of the labelled ones."""
    by_model: int = 0
    """Of the labelled ones, those with another model's answer as the label."""
    audited: int = 0
    """Replies drawn into the audit sample."""
    complaints: int = 0
    """Labels of clients, given of their own accord, on audited replies that were wrong."""


class CostLimits(Value, frozen=True):
    """Limits on a typical challenger's latency and output tokens, relative to the incumbent's; ``None``: no limit."""

    latency: float | None = None
    tokens: float | None = None


class PairCounts(Value, frozen=True):
    """Pairs of answers in numbers."""

    n: int = 0
    against: int = 0
    """Pairs in which the challenger alone was wrong."""
    for_: int = 0
    """Pairs in which the other alone was wrong."""
    by_model: int = 0
    """Pairs with another model's answer as the label."""


class Look(NamedTuple):
    """All that a look at a task brings, at ``now`` (seconds since the epoch)."""

    rows: Sequence[Observed]
    """The newest exchanges, oldest first."""
    full: bool
    """Older exchanges were left out."""
    judged: Sequence[Judged]
    """New judgements."""
    pairs: Sequence[AnswerPair]
    """New pairs of answers."""
    weak: str
    """The name of the weak model."""
    now: float


class Comparison(Value, frozen=True):
    """The state of a comparison."""

    pairing: Pairing
    began: float
    """Seconds since the epoch. Exchanges from then on count: the pairing's own, or earlier if the clock went back."""
    limits: CostLimits = CostLimits()
    wrong_before: float | None = None
    """Share of wrong replies of the incumbent at the verification, 0..1; ``None`` without a verification."""
    bad: Stream = Stream()
    labels: Stream = Stream()
    """Of labels that were asked for; against the past, of complaints."""
    pairs: Stream = Stream()
    complaints: Complaints = Complaints()
    latency: MedianTest | None = None
    """Milliseconds; ``None`` without a limit."""
    tokens: MedianTest | None = None
    past: Past = Past()
    challenger: ArmCounts = ArmCounts()
    incumbent: ArmCounts = ArmCounts()
    paired: PairCounts = PairCounts()
    pair_base: int | None = None
    """The other version of the newest pair; ``None`` for no rules."""
    taken: Mapping[str, int] = {}
    """The marks of each row that may come again, by ``_key``."""

    def after(self, look: Look, share: float) -> "Comparison":
        """Return the state after another look; ``share`` (0..1) of the conversations of both arms is the challenger's.

        A row counts once ``SETTLED_S`` seconds have passed since its end. If older rows were left out, the older half
        counts at once, before it is pushed out. A reply that turns bad later is corrected. A beginning in the future
        comes from a clock that went back since: the comparison then begins now.
        """
        book = _Book(msgspec.structs.replace(self, began=min(self.began, look.now)), look, share)
        book.count_rows()
        book.count_labels()
        book.count_pairs()
        return book.closed()

    def newly_counted(self, rows: Sequence[Observed], before: "Comparison") -> list[Observed]:
        """Return the newest rows that were not counted ``before``."""
        fresh = self.taken.keys() - before.taken.keys()
        return [row for row in rows if _key(row.id) in fresh] if fresh else []


def begun(
    pairing: Pairing, limits: CostLimits, rows: Sequence[Observed], weak: str, wrong_before: float | None = None
) -> Comparison:
    """Return a comparison before its first look; the past comes from the rows."""
    if pairing.subject != "past":
        state = Comparison(pairing=pairing, began=pairing.began, limits=limits, wrong_before=wrong_before)
        if pairing.subject == "trial":
            complaints = Complaints(paired=TRIAL_PAIRS, unpaired=TRIAL)
            state = msgspec.structs.replace(state, bad=TRIAL, labels=TRIAL, pairs=TRIAL_PAIRS, complaints=complaints)
        return _limited(state)
    # The load of the upstream was another: slow rules show in their tokens, and these can be compared.
    limits = msgspec.structs.replace(limits, latency=None)
    seen = past_of(pairing, rows, weak)
    return _limited(
        Comparison(
            pairing=pairing, began=pairing.began, limits=limits, past=seen.past,
            incumbent=ArmCounts(seen=seen.exchanges, bad=seen.bad),
            complaints=Complaints().with_heard([name[-_NAME:] for name in seen.complained]),
        )
    )  # fmt: skip


def _limited(comparison: Comparison) -> Comparison:
    latency, tokens = (
        MedianTest(ratio=limit) if limit is not None else None
        for limit in (comparison.limits.latency, comparison.limits.tokens)
    )
    return msgspec.structs.replace(comparison, latency=latency, tokens=tokens)


class _Book:
    """A comparison during a look."""

    def __init__(self, state: Comparison, look: Look, share: float) -> None:
        self._state, self._look = state, look
        self._share, self._comparable = min(max(share, 0.005), 0.995), 0 < share < 1
        self._past, self._complaints, self._paired = state.past, state.complaints, state.paired
        self._latency, self._tokens = state.latency, state.tokens
        self._counts = [Counter[str](), Counter[str]()]
        """Of the incumbent, and of the challenger."""
        self._bad, self._unpaired = list[UnitOutcome](), list[UnitOutcome]()
        self._labels, self._differences = list[UnitOutcome](), list[UnitOutcome]()
        self._keys, self._base = Counter[str](), state.pair_base
        self._met = set[str]()
        """Conversations of this look."""
        self._taken: dict[str, int] = {}

    def count_rows(self) -> None:
        state, rows, now = self._state, self._look.rows, self._look.now
        until = state.began + PAST_S if state.pairing.subject == "past" else math.inf
        for at, exchange in enumerate(rows):
            side = state.pairing.side(exchange, self._look.weak)
            if side is not None and state.began <= exchange.created <= until:
                ended = exchange.created + exchange.latency_ms / 1000
                settled = now - ended >= SETTLED_S or (self._look.full and at < len(rows) // 2)
                self._row(exchange, side, settled=settled)

    def _row(self, exchange: Observed, side: bool, *, settled: bool) -> None:
        key = _key(exchange.id)
        before = marks = self._state.taken.get(key, 0)
        bad = self._state.pairing.bad(exchange)
        if marks & _COUNTED and (not bad or marks & _BAD):
            self._taken[key] = marks
            return
        if bad is not None and settled and not marks & _COUNTED:
            marks |= _COUNTED | (_BAD if bad else 0)
            counts = self._counts[side]
            counts["seen"] += 1
            counts["bad"] += bad
            counts["audited"] += exchange.audit_rate > 0
            self._keys[exchange.key or ""] += 1
            self._outcome(exchange, side, float(bad))
            if exchange.audit_rate > 0 and self._comparable and self._complaints.on != (0, 0):
                self._unpaired.append(self._of(exchange, side, 0.0))
        elif bad and marks & _COUNTED and not marks & _BAD:
            marks |= _BAD
            self._counts[side].update(bad=1)
            self._outcome(exchange, side, 1.0, again=True)
        if marks or before:
            self._taken[key] = marks

    def _outcome(self, exchange: Observed, side: bool, value: float, *, again: bool = False) -> None:
        name = f"{unit_of(exchange)} {'ic'[side]}"
        first = name not in self._state.bad.open and name not in self._met
        if self._state.pairing.subject == "past":
            if first and not self._past.rates:
                return
            share = self._past.share
            if first:
                self._deal(exchange.created, share)
            self._bad.append(UnitOutcome(unit_of(exchange), value, exchange.created, True, share, again))
            if first and (self._past.complaints or self._state.labels.n or self._labels):
                self._labels.append(UnitOutcome(unit_of(exchange), 0.0, exchange.created, True, share))
        elif self._comparable:
            self._bad.append(self._of(exchange, side, value, again=again))
        self._met.add(name)
        if first and not again and exchange.status == "ok":  # one amount of a conversation: its replies are alike
            self._latency = self._latency and self._latency.after(side, max(exchange.latency_ms, 1.0))
            self._tokens = self._tokens and self._tokens.after(side, max(float(exchange.usage.output_tokens), 1.0))

    def _deal(self, at: float, share: float) -> None:
        """Put the next part of the past before a conversation."""
        dealt, self._past = self._past.dealt(at)
        self._bad += [
            UnitOutcome(name, rate, at, False, share) for name, rate in zip(dealt.names, dealt.rates, strict=True)
        ]
        self._labels += [
            UnitOutcome(name, rate, at, False, share) for name, rate in zip(dealt.names, dealt.complaints, strict=False)
        ]
        for amount in dealt.tokens:
            self._tokens = self._tokens and self._tokens.after(False, amount)

    def count_labels(self) -> None:
        state = self._state
        if state.pairing.subject == "past":
            self._count_complaints_of_the_past()
        for judged in self._look.judged:
            side = state.pairing.side(judged.exchange, self._look.weak)
            if side is None or judged.exchange.created < state.began:
                continue
            wrong = state.pairing.wrong(judged.exchange)
            if wrong is not None:
                by_model = int(judged.feedback.source == "shadow")
                self._counts[side].update(labelled=1, wrong=int(wrong), by_model=by_model)
                if self._comparable and state.pairing.subject != "past":
                    self._labels.append(self._of(judged.exchange, side, float(wrong)))
            elif is_complaint(judged.exchange):
                self._counts[side].update(complaints=1)
                if state.pairing.subject == "past":
                    until = state.began + PAST_S if self._past.until is None else self._past.until
                    if judged.exchange.created <= min(until, state.began + PAST_S):
                        self._heard(judged.exchange, True)
                elif self._comparable:
                    unit = unit_of(judged.exchange)
                    self._complaints = self._complaints.with_complaint(unit, side, self._share)

    def _count_complaints_of_the_past(self) -> None:
        """Count complaints that came after the activation, as late as those about the present do."""
        pairing, since = self._state.pairing, self._past.since
        for judged in self._look.judged:
            known = since is not None and since <= judged.exchange.created
            if known and pairing.precedes(judged.exchange, self._look.weak) and is_complaint(judged.exchange):
                self._heard(judged.exchange, False)

    def _heard(self, exchange: Observed, challenger: bool) -> None:
        """Count a complaint of the past or against it, once for a conversation."""
        if (not self._state.labels.n and not self._labels) or unit_of(exchange) in self._complaints.recent:
            return
        self._complaints = self._complaints.with_heard([unit_of(exchange)])
        name = unit_of(exchange) if challenger else f"late {unit_of(exchange)}"
        self._labels.append(UnitOutcome(name, 1.0, exchange.created, challenger, self._past.share, again=True))

    def count_pairs(self) -> None:
        pairing, now = self._state.pairing, self._look.now
        for pair in self._look.pairs:
            if pair.version != pairing.version or pair.at < self._state.began or pairing.subject in ("past", "strong"):
                continue
            outcome = UnitOutcome(pair.unit, float(pair.difference or 0), now)
            if pair.difference is None:
                if not pair.at_random and self._comparable:
                    outcome = UnitOutcome(pair.unit, 1.0, now, pair.on_challenger, self._share, again=True)
                    self._complaints = self._complaints.with_unpaired(outcome, key=pair.key, now=now)
                continue
            if pair.at_random:
                self._differences.append(outcome)
                self._differences += [UnitOutcome(f"{pair.number} {at}", 0.0, now) for at in range(pair.equal)]
                self._base = pair.against
                counts = {"n": 1 + pair.equal, "against": int(pair.difference > 0), "for_": int(pair.difference < 0),
                          "by_model": pair.by_model * (1 + pair.equal)}  # fmt: skip
                self._paired = PairCounts(**{name: getattr(self._paired, name) + n for name, n in counts.items()})
            elif self._comparable and pair.against == pairing.against:
                self._complaints = self._complaints.with_pair(
                    outcome, on_challenger=pair.on_challenger, share=self._share, key=pair.key, now=now
                )

    def closed(self) -> Comparison:
        state, now = self._state, self._look.now
        complaints = self._complaints.with_traffic(self._keys)
        if self._unpaired:
            complaints = msgspec.structs.replace(complaints, unpaired=complaints.unpaired.after(self._unpaired, now))
        return msgspec.structs.replace(
            state,
            bad=state.bad.after(self._bad, now),
            labels=state.labels.after(self._labels, now),
            pairs=state.pairs.after(self._differences, now),
            complaints=complaints,
            latency=self._latency,
            tokens=self._tokens,
            past=self._past,
            incumbent=_added(state.incumbent, self._counts[False]),
            challenger=_added(state.challenger, self._counts[True]),
            paired=self._paired,
            pair_base=self._base,
            taken=self._taken,
        )

    def _of(self, exchange: Observed, side: bool, value: float, *, again: bool = False) -> UnitOutcome:
        return UnitOutcome(unit_of(exchange), value, exchange.created, side, self._share, again)


def unit_of(exchange: Observed) -> str:
    """Return the conversation of an exchange; an exchange without one stands for itself."""
    return (exchange.cluster or exchange.id)[-_NAME:]


def _added(counts: ArmCounts, more: Mapping[str, int]) -> ArmCounts:
    return msgspec.structs.replace(counts, **{name: getattr(counts, name) + n for name, n in more.items()})


def _key(exchange_id: str) -> str:
    """Return the random end of an id: enough to tell it from a thousand others."""
    return exchange_id[-10:]
