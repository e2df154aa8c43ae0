"""The contract of a store. Every implementation passes the same tests (``tests/test_store_base.py``).

All methods block and may be called from any thread; callers on the event loop use ``asyncio.to_thread``.
Each raises ``StoreError`` where the database cannot be reached, is locked for long, or is full.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from gateway.domain import (
    Activation,
    Arm,
    CycleRecord,
    Exchange,
    Feedback,
    RuleSet,
    Source,
    Status,
    TrafficSplit,
    Usage,
    Value,
)

MAX_FEEDBACK = 20
"""Judgements of one exchange that are kept from each source."""
AUTOMATIC: frozenset[Source] = frozenset({"shadow", "outcome"})
"""Sources that look at an exchange once: a second judgement repeats the first."""
WITHHELD = "this exchange is kept out of learning (x-preceptor-learn: off): nothing that is said of it is stored"


class Graded(Value, frozen=True):
    """An exchange and the latest feedback that was given for it."""

    exchange: Exchange
    feedback: Feedback


class Audited(Value, frozen=True):
    """An exchange of the audit sample with every judgement of it, oldest first; contradictions are kept."""

    exchange: Exchange
    feedback: tuple[Feedback, ...] = ()


class Observed(Value, frozen=True):
    """An exchange without its texts, and the judgement that counts."""

    id: str
    created: float
    model: str
    arm: Arm
    rules: int | None
    status: Status
    latency_ms: float
    usage: Usage
    key: str | None = None
    cluster: str | None = None
    cost_usd: float | None = None
    audit_rate: float = 0.0
    correct: bool | None = None
    """``Feedback.is_correct`` of the feedback that counts."""
    source: Source | None = None
    signals: str = ""
    """The comment of feedback from an outcome: which signs of failure the reply shows."""


class TaskCounts(Value, frozen=True):
    """What the store knows of a task, for listings."""

    exchanges: int = 0
    errors: int = 0
    feedback: int = 0
    output_tokens: int = 0
    first_seen: float | None = None
    last_seen: float | None = None


class Store(Protocol):
    """Exchanges and feedback in, graded exchanges out; rule sets with one active version per task; cycles."""

    def record(self, batch: Sequence[Exchange]) -> None:
        """Add exchanges in one transaction. An id that is already there is skipped, so a retried batch is safe."""

    def add_feedback(self, feedback: Feedback) -> bool:
        """Add feedback; ``False`` (and nothing written) if the exchange is unknown, as a shadow is to clients.

        Of a shadow and of an outcome the first counts for an exchange, later ones are left out. Raises ``Conflict``
        where clients have said ``MAX_FEEDBACK`` things of one exchange, and for one that is kept out of learning: what
        its client said is not to be stored.
        """

    def exchange(self, exchange_id: str) -> Exchange | None: ...

    def graded(self, task: str, *, limit: int) -> list[Graded]:
        """The newest ``limit`` exchanges of a task that ended ``ok`` and have feedback, newest first.

        Each comes with the feedback that counts.
        """

    def ungraded(self, *, limit: int) -> list[Graded]:
        """Up to ``limit`` judgements of any task that only the grader can turn into a verdict, oldest first.

        They have ``expected`` and neither ``correct`` nor ``score``, and the grader was not asked yet.
        """

    def put_verdict(self, feedback: Feedback, verdict: float | None, *, at: float) -> bool:
        """Store the grader's verdict (0..1; ``None``: it cannot say) on the expected answer of ``feedback``.

        Every judgement of the exchange with an equal expected answer gets it. ``False`` if there is none any more.
        """

    def audited(self, task: str, *, since: float, limit: int) -> list[Audited]:
        """The newest ``limit`` exchanges of a task's audit sample that arrived at or after ``since``, newest first.

        Labelled or not, and whatever their status.
        """

    def recorded(self, after: int, *, limit: int) -> tuple[list[Exchange], int]:
        """Up to ``limit`` exchanges in the order in which they were recorded, and the position behind the last one.

        Begin with ``after=0``; the position that comes back is ``after`` of the next reading.
        """

    def observed(self, task: str, *, since: float, limit: int) -> list[Observed]:
        """The newest ``limit`` exchanges of a task that arrived at or after ``since``, oldest first."""

    def answered(self, task: str, *, arm: Arm, limit: int) -> list[Exchange]:
        """The newest ``limit`` exchanges of a task's arm that ended ``ok``, newest first."""

    def unclaimed(self, *, limit: int) -> list[Exchange]:
        """The newest ``limit`` exchanges without a task that ended ``ok`` and may be learnt from, newest first."""

    def forget(self, before: float, *, limit: int) -> int:
        """Delete up to ``limit`` exchanges that arrived before a time, oldest first, with their feedback.

        Returns how many it found. The exchange that was recorded last stays, whatever its age: positions are counted
        from it (``recorded``).
        """

    def counts(self) -> dict[str, TaskCounts]:
        """Counts per task that has exchanges. What a shadow answered, and what is said of that, is in none."""

    def publish(self, rule_set: RuleSet) -> RuleSet:
        """Store an immutable rule set under the task's next version (1, 2, ...) and return it with that version.

        Does not activate it. The version in the argument is ignored.
        """

    def rule_set(self, task: str, version: int) -> RuleSet | None: ...

    def rule_sets(self, task: str) -> list[RuleSet]:
        """All versions of a task, oldest first."""

    def activate(self, activation: Activation, *, after: int | None = None) -> None:
        """Append to a task's history, in one transaction, and so make its decision take effect.

        Raises ``NotFound`` if the version does not exist, and ``Conflict`` if the history has not the length ``after``,
        because somebody else decided meanwhile.
        """

    def active(self) -> dict[str, RuleSet]:
        """The live rule set of every task that has one."""

    def traffic_splits(self) -> dict[str, TrafficSplit]:
        """What serves every task that has a history; read in one transaction."""

    def injecting(self) -> bool:
        """Whether rule sets are injected at all; ``False`` after the kill switch."""

    def history(self, task: str) -> list[Activation]:
        """Every activation of a task, oldest first."""

    def revision(self) -> int:
        """A number that grows with each activation, cheap to poll."""

    def note(self, key: str) -> bytes | None:
        """A small thing that somebody wants to remember."""

    def put_note(self, key: str, value: bytes) -> None: ...

    def begin_cycle(self, task: str, started: float, plan: msgspec.Raw | bytes) -> CycleRecord:
        """Open a cycle. An older open cycle of the task is left as it is; the caller resumes that one first."""

    def end_cycle(self, cycle_id: int, ended: float, outcome: bytes) -> None: ...

    def open_cycle(self, task: str) -> CycleRecord | None:
        """The newest cycle of a task that has not ended."""

    def cycles(self, task: str, *, limit: int) -> list[CycleRecord]:
        """The newest cycles of a task, newest first."""

    def close(self) -> None: ...
