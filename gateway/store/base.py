"""The contract of a store. Every implementation passes the same tests (``tests/test_store_base.py``).

All methods block and may be called from any thread; callers on the event loop use ``asyncio.to_thread``.
Each raises ``StoreError`` where the database cannot be reached, is locked for long, or is full.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

import msgspec

from gateway.background import Background
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
from gateway.store.listings import Listed
from gateway.store.selection import Address, Selection
from gateway.teaching import Example

T = TypeVar("T")

MAX_FEEDBACK = 20
"""Judgements of one exchange that are kept from each sender: a source, a key and a labeller."""
MAX_FEEDBACK_OF_ALL = 100
"""Judgements of one exchange that are kept from all senders."""
AUTOMATIC: frozenset[Source] = frozenset({"shadow", "outcome"})
"""Sources that look at an exchange once: a second judgement repeats the first."""
WITHHELD = (
    "this exchange was recorded without its texts (x-preceptor-learn, record, or more than server.max_record_mb):"
    " no feedback on it is stored"
)


class Disputed(Value, frozen=True):
    """An exchange with judgements of people that contradict each other, or themselves, oldest first."""

    exchange_id: str
    feedback: tuple[Feedback, ...]


class Graded(Value, frozen=True):
    """An exchange and a judgement of it."""

    exchange: Exchange
    feedback: Feedback
    others: tuple[Feedback, ...] = ()
    """Every judgement of the exchange, for those who read them all."""


class Audited(Value, frozen=True):
    """An exchange of the audit sample with every judgement of it, oldest first; contradictions are kept."""

    exchange: Exchange
    feedback: tuple[Feedback, ...] = ()
    shadow: Graded | None = None
    """The background answer to the same request with its judgement, if it has one."""


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
    tenant: str | None = None
    cluster: str | None = None
    cost_usd: float | None = None
    audit_rate: float = 0.0
    correct: bool | None = None
    """``Feedback.is_correct`` of the feedback that counts."""
    source: Source | None = None
    signals: str = ""
    """The signs of failure in the reply, separated by commas; whatever else is known of it."""


class Judged(Value, frozen=True):
    """A judgement of an exchange, in the order of arrival; ``exchange`` shows this judgement, of any precedence."""

    exchange: Observed
    feedback: Feedback


class Arrived(Judged, frozen=True):
    """A judgement of any task, at its position in the order of arrival."""

    position: int
    task: str


class TaskCounts(Value, frozen=True):
    """The store's counts of a task, for listings."""

    exchanges: int = 0
    errors: int = 0
    feedback: int = 0
    output_tokens: int = 0
    first_seen: float | None = None
    last_seen: float | None = None


def since_then(rows: Sequence[T], since: float, created: Callable[[T], float]) -> Sequence[T]:
    """Return the rows since a time, of rows in the order of recording, newest first.

    Only the oldest rows are left out: a row dated too early by a wrong clock stays among its neighbours.
    """
    for index in range(len(rows), 0, -1):
        if created(rows[index - 1]) >= since:
            return rows[:index]
    return rows[:0]


class Recorder(Protocol):
    """Takes exchanges and feedback for a store; no request waits for a database.

    Implemented by ``writer.Writer``, in a thread, and by ``recorder.outbox.Outbox``, over a process of its own.
    """

    dropped: int
    """Lost exchanges: over the bounds, or refused for their content."""

    @property
    def error(self) -> str | None:
        """The last complaint; ``None`` while everything works."""

    @property
    def pending(self) -> int:
        """The number of entries that are not stored yet."""

    def running(self, background: Background) -> AbstractAsyncContextManager[None]:
        """Record while the context is open; at its end everything is stored, in the spool, or counted as lost."""

    def put(self, exchange: Exchange) -> None:
        """Take an exchange; never waits. Over the bounds it is dropped and counted."""

    async def feedback(self, feedback: Feedback, address: Address | None = None) -> str | None:
        """Store feedback behind everything taken before it. Returns the exchange's id, ``None`` for an unknown one.

        Raises ``StoreError`` if it could not be stored in time: to be sent again.
        """

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything taken so far is stored; ``False`` after ``timeout_s`` seconds. Blocks."""


class Store(Listed, Protocol):
    """Exchanges and feedback in, graded exchanges out; rule sets with one active version per task; cycles."""

    def record(self, batch: Sequence[Exchange]) -> None:
        """Add exchanges in one transaction. A known id is skipped, so a batch can be tried again."""

    def add_feedback(self, feedback: Feedback) -> bool:
        """Add feedback; returns ``False``, and writes nothing, for an unknown exchange. Clients do not know shadows.

        Of the sources ``AUTOMATIC`` the first judgement of an exchange is kept, later ones are skipped. Raises
        ``Conflict`` for an exchange with ``MAX_FEEDBACK`` judgements of the sender or ``MAX_FEEDBACK_OF_ALL``, and for
        an exchange kept out of learning.
        """

    def find(self, address: Address) -> str | None:
        """Return the id of the exchange at an address, the newest of several; ``None`` without one.

        Shadows have no address.
        """

    def exchange(self, exchange_id: str) -> Exchange | None: ...

    def graded(self, task: str, *, limit: int, max_bytes: int | None = None) -> list[Graded]:
        """Return up to ``limit`` exchanges of a task with status ``ok`` and feedback, newest first.

        Each comes with the feedback of highest precedence (``SOURCES``), of several the last to arrive. Beyond
        ``limit``, exchanges whose feedback arrived first are left out; of the rest, the largest until requests and
        replies have ``max_bytes`` together.
        """

    def ungraded(self, *, limit: int) -> list[Graded]:
        """Return up to ``limit`` judgements of people for the grader, of any task, oldest first, and a page at most.

        They have ``expected``, and the grader was not asked yet. Some have ``correct`` or ``score`` as well: their
        verdict shows contradictions.
        """

    def put_verdict(self, feedback: Feedback, verdict: float | None, *, at: float) -> bool:
        """Store the grader's verdict (0..1; ``None``: it cannot say) on the expected answer of ``feedback``.

        Every judgement of the exchange with an equal expected answer gets it. ``False`` if there is none any more.
        """

    def audited(self, task: str, *, since: float, limit: int, max_bytes: int | None = None) -> list[Audited]:
        """Return the newest ``limit`` exchanges of a task's audit sample since a time, newest first.

        The sample holds labelled and unlabelled exchanges of every status. ``max_bytes`` as for ``graded``.
        """

    def disputed(self, task: str, *, limit: int) -> list[Disputed]:
        """Return up to ``limit`` exchanges of a task with contradictory judgements, the newest judgements first."""

    def recorded(self, after: int, *, limit: int) -> tuple[list[Exchange], int]:
        """Return up to ``limit`` exchanges in the order of recording, and the position behind the last of them.

        Begin with ``after=0``; the returned position is ``after`` of the next reading. A page has ``PAGE_BYTES`` at
        most, or one exchange: only an empty page is the last.
        """

    def observed(self, task: str, *, since: float, limit: int) -> list[Observed]:
        """Return the newest ``limit`` exchanges of a task since a time, oldest first."""

    def select(self, selection: Selection, after: int, *, limit: int) -> tuple[list[Exchange], int]:
        """Return up to ``limit`` selected exchanges, read on from a position as ``recorded`` does."""

    def judged(self, task: str, after: int | None, *, limit: int) -> tuple[list[Judged], int]:
        """Return up to ``limit`` judgements of a task in the order of arrival, and the position behind the last.

        Begin with ``after=None``, near the end; the returned position is ``after`` of the next reading. Of each
        exchange the first judgement of a client counts, and the first of a label or a shadow; outcomes never do.
        The reading ends before the first judgement without a verdict from the grader.
        """

    def judgements(self, after: int, *, limit: int) -> list[Arrived]:
        """Return up to ``limit`` judgements of all tasks behind a position, in the order of arrival.

        Selects as ``judged`` does, but keeps judgements without a verdict.
        """

    def answered(self, task: str, *, arm: Arm, limit: int) -> list[Exchange]:
        """Return the newest ``limit`` exchanges of a task's arm with status ``ok``, newest first."""

    def unclaimed(self, *, limit: int) -> list[Exchange]:
        """Return the newest ``limit`` exchanges without a task, with status ``ok`` and not withheld, newest first."""

    def forget(self, before: float, *, limit: int) -> int:
        """Delete up to ``limit`` exchanges from before a time, oldest first, with their feedback.

        Returns their number. Of the exchange recorded last a row without content stays at any age, and is not counted:
        positions are counted from it (``recorded``).
        """

    def size(self) -> int:
        """Return the bytes of the database that are in use."""

    def delete(self, ids: Sequence[str]) -> int:
        """Delete exchanges with their feedback and their shadows; returns the number of exchanges.

        Of the exchange recorded last a row without content stays: positions are counted from it (``recorded``).
        """

    def counts(self) -> dict[str, TaskCounts]:
        """Return the counts of every task with exchanges. Shadows and feedback on them are left out."""

    def counts_of(self, tasks: Sequence[str]) -> dict[str, TaskCounts]:
        """Return the kept counts of some tasks; feedback is not counted."""

    def publish(self, rule_set: RuleSet, *, after: int | None = None) -> RuleSet:
        """Store an immutable rule set under the task's next version (1, 2, ...) and return it with that version.

        Does not activate it. The version in the argument is ignored. Raises ``Conflict`` if the task has another number
        of versions than ``after``: somebody else published meanwhile.
        """

    def rule_set(self, task: str, version: int) -> RuleSet | None: ...

    def rule_sets(self, task: str) -> list[RuleSet]:
        """Return all versions of a task, oldest first."""

    def redact(self, drops: Callable[[Example], bool], *, now: float, by: str, why: str) -> list[RuleSet]:
        """Take examples out of every stored rule set, noted in its task's history; returns the changed rule sets."""

    def activate(self, activation: Activation, *, after: int | None = None) -> None:
        """Append a decision to a task's history in one transaction; it takes effect with that.

        Raises ``NotFound`` for an unknown version, and ``Conflict`` if the history has another length than ``after``:
        somebody else decided meanwhile.
        """

    def active(self) -> dict[str, RuleSet]:
        """Return the live rule sets by task; tasks without one are left out."""

    def traffic_splits(self) -> dict[str, TrafficSplit]:
        """Return the present split of every task with a history, read in one transaction."""

    def injecting(self) -> bool:
        """Return ``False`` while the kill switch holds back every rule set."""

    def history(self, task: str) -> list[Activation]:
        """Return every activation of a task, oldest first."""

    def revision(self) -> int:
        """Return a number that grows with each activation, cheap to poll."""

    def glance(self, note: str) -> tuple[int, bytes | None]:
        """Return the revision and a note's bytes, read in one statement: cheaper to poll than both calls."""

    def note(self, key: str) -> bytes | None:
        """Return a note's bytes; ``store.notes`` gives them a type."""

    def put_note(self, key: str, value: bytes) -> None: ...

    def swap_note(self, key: str, before: bytes | None, value: bytes) -> bool:
        """Replace a note if its bytes are still ``before`` (``None``: missing), in one transaction."""

    def begin_cycle(self, task: str, started: float, plan: msgspec.Raw | bytes) -> CycleRecord:
        """Open a cycle. An older open cycle of the task stays open; the caller resumes it first."""

    def end_cycle(self, cycle_id: int, ended: float, outcome: bytes) -> None:
        """Close a cycle. Its plan, which is full of requests, is deleted.

        The first end stands: of two leaders for a moment, and against a redaction that ended it meanwhile.
        """

    def redact_cycles(self, before: float, *, tasks: Collection[str] | None = None) -> int:
        """Delete the texts of requests and replies in cycles begun before a time; returns the number of changed cycles.

        Outcomes keep their numbers and rules. An open cycle is ended without a result. ``tasks``: of these only.
        """

    def flush_deleted(self) -> None:
        """Let no deleted text stay in the store's files, as far as readers at work permit."""

    def open_cycle(self, task: str) -> CycleRecord | None:
        """Return the newest cycle of a task without an end."""

    def cycles(self, task: str, *, limit: int) -> list[CycleRecord]:
        """Return the newest cycles of a task, newest first."""

    def close(self) -> None: ...
