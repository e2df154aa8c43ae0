"""One comparison of two arms as it grows: every exchange is counted once, in the order in which its worth became known.

It is folded forward from the rows that a look at the store gives, and remembers of each row what it has counted, so
that a look that is taken twice counts nothing twice. Decides nothing; the statistics are ``evidence``'s.
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
"""Seconds after its end in which the signs of failure of a reply are looked for; until then it does not count, nor does
a bad one: bad ones are known first, and the past that they are compared with has no such hurry."""
STREAM = 5000
"""Outcomes of both arms after which a comparison begins anew, with a part of what is left of its alpha."""
AMOUNTS = 2000
"""Latencies, and numbers of tokens, that such a stretch looks at."""
PAST = 800
"""Newest exchanges of the past that are compared with."""
PRESENT = 400
"""Exchanges of the present that use them up: two of the past for each; fewer, but at least one, if there are fewer."""

_COUNTED, _BAD, _LABELLED = 1, 2, 4


class ArmCounts(Value, frozen=True):
    """One arm in numbers, since the comparison began."""

    seen: int = 0
    bad: int = 0
    labelled: int = 0
    wrong: int = 0
    """Of the labelled ones."""


class CostLimits(Value, frozen=True):
    """How many times the incumbent's latency and output tokens a typical challenger may have; ``None``: no limit."""

    latency: float | None = None
    tokens: float | None = None


class Past(Value, frozen=True):
    """What is left of the past to compare with."""

    outcomes: str = ""
    labels: str = ""
    tokens: tuple[int, ...] = ()
    dealt: tuple[int, int, int] = (1, 1, 1)
    """How many of each go with one of the present."""


class Guardrail(Value, frozen=True):
    """One thing that must not become worse, and what was found."""

    name: Literal["bad replies", "labelled mistakes", "latency", "output tokens"]
    found: EProcess
    why: str
    """The numbers in words."""


class Comparison(Value, frozen=True):
    """The state of one comparison. Letters are outcomes: c challenger, i incumbent, in capitals where it was bad."""

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
    """What was counted of each row that may come again, by ``_key``."""

    def after(self, rows: Sequence[Observed], *, weak: str, now: float, full: bool) -> "Comparison":
        """The state after one more look at the newest rows, oldest first.

        A row counts once ``SETTLED_S`` seconds have passed since its end; if the look is ``full`` (older rows were left
        out) the older half counts at once, before it is pushed out. What is found bad later counts once more, at the
        end of the stream. ``now`` is in seconds since the epoch; if it lies before the beginning, the clock went back,
        and the comparison begins there.
        """
        began = min(self.began, now)
        until = began + PAST_S if self.pairing.subject == "past" else math.inf
        book = _Book(msgspec.structs.replace(self, began=began))
        for at, one in enumerate(rows):
            side = self.pairing.side(one, weak)
            if side is not None and began <= one.created <= until:
                ended = one.created + one.latency_ms / 1000
                book.look(one, side, settled=now - ended >= SETTLED_S or (full and at < len(rows) // 2))
        return book.closed()

    def counted(self, exchange_id: str) -> bool:
        """Whether an exchange that may come again was counted."""
        return bool(self.taken.get(_key(exchange_id), 0) & _COUNTED)

    def guardrails(self, alpha: float) -> list[Guardrail]:
        """What was found. ``alpha`` is for each of the four, over all stretches: of it the k-th has 1/k(k+1)."""
        alpha /= self.stretch * (self.stretch + 1)
        c, i = self.challenger, self.incumbent
        found = [
            Guardrail(name="bad replies", found=harm(_letters(self.outcomes), alpha=alpha),
                      why=_rates(c.bad, c.seen, i.bad, i.seen)),
            Guardrail(name="labelled mistakes", found=harm(_letters(self.labels), alpha=alpha),
                      why=_rates(c.wrong, c.labelled, i.wrong, i.labelled)),
        ]  # fmt: skip
        if self.limits.latency is not None:
            beyond = excess(_amounts(self.latencies), ratio=self.limits.latency, alpha=alpha)
            why = f"above {self.limits.latency:.3g} times the latency in {beyond.against} of {beyond.discordant}"
            found.append(Guardrail(name="latency", found=beyond, why=f"{why} comparisons"))
        if self.limits.tokens is not None:
            beyond = excess(_amounts(self.tokens), ratio=self.limits.tokens, alpha=alpha)
            why = f"above {self.limits.tokens:.3g} times the tokens in {beyond.against} of {beyond.discordant}"
            found.append(Guardrail(name="output tokens", found=beyond, why=f"{why} comparisons"))
        return found


def begun(pairing: Pairing, limits: CostLimits, rows: Sequence[Observed], weak: str) -> Comparison:
    """A comparison before its first look; one with the past takes that from the rows."""
    if pairing.subject != "past":
        return Comparison(pairing=pairing, began=pairing.began, limits=limits)
    rows = [one for one in rows if pairing.precedes(one, weak)][-PAST:]
    bad = [bad for one in rows if (bad := pairing.bad(one)) is not None]
    wrong = [wrong for one in rows if (wrong := pairing.wrong(one)) is not None]
    tokens = tuple(-max(one.usage.output_tokens, 1) for one in rows if one.status == "ok")
    past = Past(
        outcomes="".join(_letter(False, one) for one in bad),
        labels="".join(_letter(False, one) for one in wrong),
        tokens=tokens,
        dealt=(_dealt(len(bad)), _dealt(len(wrong)), _dealt(len(tokens))),
    )
    # The load of the upstream was another one: what makes rules slow are tokens, and these can be compared.
    tally = ArmCounts(seen=len(bad), bad=sum(bad), labelled=len(wrong), wrong=sum(wrong))
    limits = msgspec.structs.replace(limits, latency=None)
    return Comparison(pairing=pairing, began=pairing.began, limits=limits, past=past, incumbent=tally)


class _Book:
    """A comparison while rows are entered."""

    def __init__(self, state: Comparison) -> None:
        self._state = state
        self._of_past = state.pairing.subject == "past"
        self._outcomes, self._labels = [state.outcomes], [state.labels]
        self._latencies, self._tokens = list(state.latencies), list(state.tokens)
        self._past = state.past
        self._tallies = [state.incumbent, state.challenger]
        self._taken: dict[str, int] = {}

    def look(self, one: Observed, side: bool, *, settled: bool) -> None:
        before = marks = self._state.taken.get(_key(one.id), 0)
        bad, wrong = self._state.pairing.bad(one), self._state.pairing.wrong(one)
        if bad is not None and settled and not marks & _COUNTED:
            marks |= _COUNTED | (_BAD if bad else 0)
            self._count(side, seen=1, bad=int(bad))
            self._outcome(side, bad)
            if one.status == "ok":
                self._amounts(side, one)
        elif bad and marks & _COUNTED and not marks & _BAD:
            marks |= _BAD
            self._count(side, bad=1)
            self._outcome(side, True)
        if wrong is not None and not marks & _LABELLED:
            marks |= _LABELLED
            self._count(side, labelled=1, wrong=int(wrong))
            self._label(side, wrong)
        if marks or before:
            self._taken[_key(one.id)] = marks

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
        """A letter, behind those of the past that go with it; nothing once the past is used up."""
        if not self._of_past:
            return _letter(side, bad)
        dealt: str = self._take(what, place)
        return dealt + _letter(True, bad) if dealt else ""

    def _take(self, what: str, place: int) -> Any:
        """What of the past goes with one of the present; it is gone from there."""
        left, count = getattr(self._past, what), self._past.dealt[place]
        self._past = msgspec.structs.replace(self._past, **{what: left[count:]})
        return left[:count]

    def _amounts(self, side: bool, one: Observed) -> None:
        sign = 1 if side else -1
        if self._of_past:
            self._tokens += self._take("tokens", 2)
        self._latencies.append(sign * max(round(one.latency_ms), 1))
        self._tokens.append(sign * max(one.usage.output_tokens, 1))


def _key(exchange_id: str) -> str:
    """The random end of an id: enough to know it again among a thousand."""
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
    """``14 of 52 (27%) against 31 of 890 (3%): about 12 requests harmed``."""
    told = f"{_share(bad, n)} against {_share(bad_of_others, others)}"
    return f"{told}: about {harmed(bad, n, bad_of_others, others):.0f} requests harmed" if n and others else told


def harmed(bad: int, n: int, bad_of_others: int, others: int) -> float:
    """How many more requests went wrong than would have on the other arm."""
    return max(bad - n * bad_of_others / others, 0.0) if others else 0.0


def _share(part: int, n: int) -> str:
    return f"{part} of {n} ({part / n:.0%})" if n else "0 of 0"
