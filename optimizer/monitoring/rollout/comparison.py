"""A comparison of two arms: every exchange counts once, in the order in which its outcome became known.

It is folded forward from the rows of each look and remembers what it has counted of each row, so that a repeated look
counts nothing twice. Decides nothing; the statistics are ``statistics.e_process``'s.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from gateway.domain import Value
from gateway.store.base import Observed
from optimizer.monitoring.rollout.arms import PAST_S, Pairing
from optimizer.statistics.e_process import ArmOutcome, EProcess, excess, harm

SETTLED_S = 15.0
"""Seconds between the end of a reply and its count: its signs of failure are searched until then. Bad replies wait,
too: they are known first, and the past in the comparison has no such hurry."""
STREAM = 5000
"""Outcomes of both arms after which a comparison begins anew, with a part of its remaining alpha."""
AMOUNTS = 2000
"""Latencies, and numbers of tokens, per stretch."""
PAST = 800
"""Newest exchanges of the past in a comparison."""
PRESENT = 400
"""Exchanges of the present that use up the past: two of the past for each, or one if the past is short."""

_COUNTED, _BAD, _LABELLED = 1, 2, 4


class ArmCounts(Value, frozen=True):
    """An arm in numbers, since the comparison began."""

    seen: int = 0
    bad: int = 0
    labelled: int = 0
    wrong: int = 0
    """Of the labelled ones."""


class CostLimits(Value, frozen=True):
    """Limits on a typical challenger's latency and output tokens, relative to the incumbent's; ``None``: no limit."""

    latency: float | None = None
    tokens: float | None = None


class Past(Value, frozen=True):
    """The unused rest of the past."""

    outcomes: str = ""
    labels: str = ""
    tokens: tuple[int, ...] = ()
    dealt: tuple[int, int, int] = (1, 1, 1)
    """The number of each per exchange of the present."""


class Guardrail(Value, frozen=True):
    """A quantity that must not become worse, and its evidence."""

    name: Literal["bad replies", "labelled mistakes", "latency", "output tokens"]
    evidence: EProcess
    why: str
    """The numbers in words."""


class Comparison(Value, frozen=True):
    """The state of a comparison. Letters are outcomes: c challenger, i incumbent, capitals for bad replies."""

    pairing: Pairing
    began: float
    """Seconds since the epoch. Exchanges from then on count: the pairing's own, or earlier if the clock went back."""
    limits: CostLimits = CostLimits()
    stretch: int = 1
    outcomes: str = ""
    labels: str = ""
    latencies: tuple[int, ...] = ()
    """Milliseconds, the incumbent's negative."""
    tokens: tuple[int, ...] = ()
    """Output tokens, the incumbent's negative."""
    past: Past = Past()
    challenger: ArmCounts = ArmCounts()
    incumbent: ArmCounts = ArmCounts()
    taken: Mapping[str, int] = {}
    """The marks of each row that may come again, by ``_key``."""

    def after(self, rows: Sequence[Observed], *, weak: str, now: float, full: bool) -> "Comparison":
        """Return the state after another look at the newest rows, oldest first.

        A row counts once ``SETTLED_S`` seconds have passed since its end. If older rows were left out (``full``), the
        older half counts at once, before it is pushed out. A reply that turns bad later counts once more, at the end of
        the stream. ``now`` is in seconds since the epoch; before the beginning, the clock went back, and the comparison
        begins there.
        """
        began = min(self.began, now)
        until = began + PAST_S if self.pairing.subject == "past" else math.inf
        book = _Book(msgspec.structs.replace(self, began=began))
        for at, exchange in enumerate(rows):
            side = self.pairing.side(exchange, weak)
            if side is not None and began <= exchange.created <= until:
                ended = exchange.created + exchange.latency_ms / 1000
                book.look(exchange, side, settled=now - ended >= SETTLED_S or (full and at < len(rows) // 2))
        return book.closed()

    def counted(self, exchange_id: str) -> bool:
        """Decide whether an exchange of the newest rows was counted."""
        return bool(self.taken.get(_key(exchange_id), 0) & _COUNTED)

    def guardrails(self, alpha: float) -> list[Guardrail]:
        """Return the evidence. ``alpha`` is for each of the four, over all stretches: the k-th has 1/k(k+1) of it."""
        alpha /= self.stretch * (self.stretch + 1)
        c, i = self.challenger, self.incumbent
        guardrails = [
            Guardrail(name="bad replies", evidence=harm(_letters(self.outcomes), alpha=alpha),
                      why=_rates(c.bad, c.seen, i.bad, i.seen)),
            Guardrail(name="labelled mistakes", evidence=harm(_letters(self.labels), alpha=alpha),
                      why=_rates(c.wrong, c.labelled, i.wrong, i.labelled)),
        ]  # fmt: skip
        if self.limits.latency is not None:
            beyond = excess(_amounts(self.latencies), ratio=self.limits.latency, alpha=alpha)
            why = f"above {self.limits.latency:.3g} times the latency in {beyond.against} of {beyond.discordant}"
            guardrails.append(Guardrail(name="latency", evidence=beyond, why=f"{why} comparisons"))
        if self.limits.tokens is not None:
            beyond = excess(_amounts(self.tokens), ratio=self.limits.tokens, alpha=alpha)
            why = f"above {self.limits.tokens:.3g} times the tokens in {beyond.against} of {beyond.discordant}"
            guardrails.append(Guardrail(name="output tokens", evidence=beyond, why=f"{why} comparisons"))
        return guardrails


def begun(pairing: Pairing, limits: CostLimits, rows: Sequence[Observed], weak: str) -> Comparison:
    """Return a comparison before its first look; the past comes from the rows."""
    if pairing.subject != "past":
        return Comparison(pairing=pairing, began=pairing.began, limits=limits)
    rows = [exchange for exchange in rows if pairing.precedes(exchange, weak)][-PAST:]
    bad = [bad for exchange in rows if (bad := pairing.bad(exchange)) is not None]
    wrong = [wrong for exchange in rows if (wrong := pairing.wrong(exchange)) is not None]
    tokens = tuple(-max(exchange.usage.output_tokens, 1) for exchange in rows if exchange.status == "ok")
    past = Past(
        outcomes="".join(_letter(False, exchange) for exchange in bad),
        labels="".join(_letter(False, exchange) for exchange in wrong),
        tokens=tokens,
        dealt=(_dealt(len(bad)), _dealt(len(wrong)), _dealt(len(tokens))),
    )
    # The load of the upstream was another one: what makes rules slow are tokens, and these can be compared.
    tally = ArmCounts(seen=len(bad), bad=sum(bad), labelled=len(wrong), wrong=sum(wrong))
    limits = msgspec.structs.replace(limits, latency=None)
    return Comparison(pairing=pairing, began=pairing.began, limits=limits, past=past, incumbent=tally)


class _Book:
    """A comparison under construction."""

    def __init__(self, state: Comparison) -> None:
        self._state = state
        self._of_past = state.pairing.subject == "past"
        self._outcomes, self._labels = [state.outcomes], [state.labels]
        self._latencies, self._tokens = list(state.latencies), list(state.tokens)
        self._past = state.past
        self._tallies = [state.incumbent, state.challenger]
        self._taken: dict[str, int] = {}

    def look(self, exchange: Observed, side: bool, *, settled: bool) -> None:
        before = marks = self._state.taken.get(_key(exchange.id), 0)
        bad, wrong = self._state.pairing.bad(exchange), self._state.pairing.wrong(exchange)
        if bad is not None and settled and not marks & _COUNTED:
            marks |= _COUNTED | (_BAD if bad else 0)
            self._count(side, seen=1, bad=int(bad))
            self._outcome(side, bad)
            if exchange.status == "ok":
                self._amounts(side, exchange)
        elif bad and marks & _COUNTED and not marks & _BAD:
            marks |= _BAD
            self._count(side, bad=1)
            self._outcome(side, True)
        if wrong is not None and not marks & _LABELLED:
            marks |= _LABELLED
            self._count(side, labelled=1, wrong=int(wrong))
            self._label(side, wrong)
        if marks or before:
            self._taken[_key(exchange.id)] = marks

    def closed(self) -> Comparison:
        outcomes, labels = "".join(self._outcomes), "".join(self._labels)
        anew = len(outcomes) >= STREAM or len(labels) >= STREAM
        return msgspec.structs.replace(
            self._state,
            stretch=self._state.stretch + anew,
            outcomes="" if anew else outcomes,
            labels="" if anew else labels,
            latencies=() if anew else tuple(self._latencies[:AMOUNTS]),
            tokens=() if anew else tuple(self._tokens[:AMOUNTS]),
            past=self._past,
            incumbent=self._tallies[0],
            challenger=self._tallies[1],
            taken=self._taken,
        )

    def _count(self, side: bool, **more: int) -> None:
        tally = self._tallies[side]
        self._tallies[side] = msgspec.structs.replace(tally, **{k: getattr(tally, k) + n for k, n in more.items()})

    def _outcome(self, side: bool, bad: bool) -> None:
        self._outcomes.append(self._beside("outcomes", 0, side, bad))

    def _label(self, side: bool, wrong: bool) -> None:
        self._labels.append(self._beside("labels", 1, side, wrong))

    def _beside(self, what: str, place: int, side: bool, bad: bool) -> str:
        """Return a letter, behind its share of the past; nothing once the past is used up."""
        if not self._of_past:
            return _letter(side, bad)
        dealt: str = self._take(what, place)
        return dealt + _letter(True, bad) if dealt else ""

    def _take(self, what: str, place: int) -> Any:
        """Take the next part of the past."""
        left, count = getattr(self._past, what), self._past.dealt[place]
        self._past = msgspec.structs.replace(self._past, **{what: left[count:]})
        return left[:count]

    def _amounts(self, side: bool, exchange: Observed) -> None:
        sign = 1 if side else -1
        if self._of_past:
            self._tokens += self._take("tokens", 2)
        self._latencies.append(sign * max(round(exchange.latency_ms), 1))
        self._tokens.append(sign * max(exchange.usage.output_tokens, 1))


def _key(exchange_id: str) -> str:
    """Return the random end of an id: enough to tell it from a thousand others."""
    return exchange_id[-10:]


def _letter(challenger: bool, bad: bool) -> str:
    letter = "c" if challenger else "i"
    return letter.upper() if bad else letter


def _dealt(of_past: int) -> int:
    return min(max(of_past // PRESENT, 1), PAST // PRESENT)


def _letters(stream: str) -> list[ArmOutcome[bool]]:
    return [ArmOutcome(letter in "cC", letter.isupper()) for letter in stream]


def _amounts(stream: Sequence[int]) -> list[ArmOutcome[float]]:
    return [ArmOutcome(amount > 0, float(abs(amount))) for amount in stream]


def _rates(bad: int, n: int, bad_of_others: int, others: int) -> str:
    """Return ``14 of 52 (27%) against 31 of 890 (3%): about 12 requests harmed``."""
    rates = f"{_share(bad, n)} against {_share(bad_of_others, others)}"
    return f"{rates}: about {harmed(bad, n, bad_of_others, others):.0f} requests harmed" if n and others else rates


def harmed(bad: int, n: int, bad_of_others: int, others: int) -> float:
    """Return the number of bad replies beyond the other arm's rate."""
    return max(bad - n * bad_of_others / others, 0.0) if others else 0.0


def _share(part: int, n: int) -> str:
    return f"{part} of {n} ({part / n:.0%})" if n else "0 of 0"
