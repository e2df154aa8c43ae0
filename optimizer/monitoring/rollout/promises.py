"""The promise ledger: the promised gain of each version, the gain measured since, and the verdict. Pure.

Read it: ``PROMISES.read(store, task)`` returns the ledger, a tuple of ``LedgerEntry``, oldest version first (``None``
before the first look at a version with evidence). Each entry has

- ``promise``: version, time, the version compared with (``against``), promised ``change`` with its 95% ``interval``;
- ``measured``: the change seen in traffic with its interval, the number of independent ``units``, and their kind
  (``of``); ``None`` before any measurement;
- ``verdict``: ``open`` (too few units), ``held``, ``exceeded`` or ``broken``; ``covered`` says if the measurement and
  the promise agree; ``describe(entry)`` puts all of it into a sentence.

Changes are shares of right replies, -1..1, with the version less without it. The watch writes the note at each look.
"""

from typing import Literal

from gateway.domain import RuleSet, Value
from gateway.rules.decisions import version_name
from gateway.store.notes import Note

LedgerVerdict = Literal["open", "held", "exceeded", "broken"]
BY_SIGNS = "conversations, by signs of failure"
"""The kind of a measurement without labels: it tells failures, not right replies, so it judges no promise."""
BY_MODEL = ", labelled by the other model"
"""The end of a measurement's kind where most labels are another model's answers: it tells agreement with that model."""
LEAST_UNITS = 100
"""Independent units below which a measurement that agrees with the promise says too little."""


class Promise(Value, frozen=True):
    """The gain that the verification of a version promised."""

    version: int
    made_at: float
    """Seconds since the epoch."""
    against: int | None
    """The version of the comparison; ``None`` for no rules."""
    change: float
    """Promised change in the share of right replies."""
    interval: tuple[float, float]
    """95% interval of the promise."""
    items: int
    """Items of the verification."""
    agreement: bool = False
    """The promise is of agreement with a model that labelled."""


class FieldMeasurement(Value, frozen=True):
    """A change measured in traffic since the version went live or on trial."""

    change: float
    interval: tuple[float, float]
    """95% interval of the change, at the moment of the look."""
    units: int
    """Independent units: pairs of answers to a request, or conversations; each conversation once."""
    of: str
    """The kind of measurement, such as ``pairs of answers`` or ``labelled replies``."""
    since: float
    until: float
    """Seconds since the epoch."""


class LedgerEntry(Value, frozen=True):
    """A version's line in the ledger."""

    promise: Promise
    measured: FieldMeasurement | None = None
    verdict: LedgerVerdict = "open"

    @property
    def covered(self) -> bool | None:
        """True if the measurement agrees with the promise, false if it contradicts it; ``None`` while open."""
        return None if self.verdict == "open" else self.verdict == "held"


PROMISES = Note("promises", tuple[LedgerEntry, ...])


def promise_of(rule_set: RuleSet | None) -> Promise | None:
    """Return the promise of a version; ``None`` for a version without evidence."""
    if rule_set is None or rule_set.evidence is None or rule_set.evidence.after.n == 0:
        return None
    evidence = rule_set.evidence
    return Promise(
        version=rule_set.version,
        made_at=rule_set.created,
        against=evidence.against,
        change=evidence.promised.gain if evidence.promised else evidence.after.accuracy - evidence.before.accuracy,
        interval=evidence.promised.interval if evidence.promised else evidence.interval,
        items=evidence.items_used,
        agreement=evidence.claim.startswith("agreement"),
    )


def ledger_entry(promise: Promise, measured: FieldMeasurement | None) -> LedgerEntry:
    """Return the entry of a promise with its verdict.

    Intervals without a common point contradict each other, however few units there are. Signs of failure judge nothing,
    and agreement with a model judges no promise of right replies.
    """
    verdict: LedgerVerdict = "open"
    if measured is not None and _unlike(promise, measured) == "":
        if measured.interval[1] < promise.interval[0]:
            verdict = "broken"
        elif measured.interval[0] > promise.interval[1]:
            verdict = "exceeded"
        elif measured.units >= LEAST_UNITS:
            verdict = "held"
    return LedgerEntry(promise=promise, measured=measured, verdict=verdict)


def with_entry(ledger: tuple[LedgerEntry, ...], entry: LedgerEntry) -> tuple[LedgerEntry, ...]:
    """Return the ledger with an entry in place of the same version's; a measurement is never replaced by none."""
    version = entry.promise.version
    known = next((old for old in ledger if old.promise.version == version), None)
    if known is not None and entry.measured is None:
        return ledger
    others = [old for old in ledger if old.promise.version != version]
    return tuple(sorted([*others, entry], key=lambda old: old.promise.version))


def describe(entry: LedgerEntry) -> str:
    """Return an entry as a sentence, such as ``version 3 promised +12.0 points (+4.0 to +19.0) over no rules; ...``."""
    promise, measured = entry.promise, entry.measured
    text = f"{version_name(promise.version)} promised {_points(promise.change, promise.interval)}"
    text += f" over {version_name(promise.against)}"
    if measured is None:
        return f"{text}; nothing is measured yet"
    text += f"; measured {_points(measured.change, measured.interval)} in {measured.units} {measured.of}"
    if unlike := _unlike(promise, measured):
        return f"{text}: {unlike}"
    ends = {
        "open": f"too few to judge the promise ({LEAST_UNITS} are needed)",
        "held": "the promise holds",
        "exceeded": "more than promised",
        "broken": "less than promised",
    }
    return f"{text}: {ends[entry.verdict]}"


def _unlike(promise: Promise, measured: FieldMeasurement) -> str:
    """Return the reason for which a measurement judges no promise; empty if it does."""
    if measured.of == BY_SIGNS:
        return "without labels nobody knows if the replies are right"
    if measured.of.endswith(BY_MODEL) and not promise.agreement:
        return "that is agreement with a model, and the promise is of right replies"
    return ""


def _points(change: float, interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{100 * change:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})"
