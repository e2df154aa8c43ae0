"""The contract of a store. Every implementation passes the same tests (``tests/test_store_base.py``).

All methods block and may be called from any thread; callers on the event loop use ``asyncio.to_thread``.
Each raises ``StoreError`` where the database cannot be reached, is locked for long, or is full.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from gateway.domain import Activation, Arm, CycleRecord, Exchange, Feedback, RuleSet, Value


class Graded(Value, frozen=True):
    """An exchange and the latest feedback that was given for it."""

    exchange: Exchange
    feedback: Feedback


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
        """Add feedback; ``False`` (and nothing written) if the exchange is unknown."""

    def exchange(self, exchange_id: str) -> Exchange | None: ...

    def graded(self, task: str, *, limit: int) -> list[Graded]:
        """The newest ``limit`` exchanges of a task that ended ``ok`` and have feedback, newest first."""

    def answered(self, task: str, *, arm: Arm, limit: int) -> list[Exchange]:
        """The newest ``limit`` exchanges of a task's arm that ended ``ok``, newest first."""

    def counts(self) -> dict[str, TaskCounts]:
        """Counts per task that has exchanges."""

    def publish(self, rule_set: RuleSet) -> RuleSet:
        """Store an immutable rule set under the task's next version (1, 2, ...) and return it with that version.

        Does not activate it. The version in the argument is ignored.
        """

    def rule_set(self, task: str, version: int) -> RuleSet | None: ...

    def rule_sets(self, task: str) -> list[RuleSet]:
        """All versions of a task, oldest first."""

    def activate(self, activation: Activation) -> None:
        """Make a version (or ``None``: no rules) the active one and append to the history, in one transaction.

        Raises ``NotFound`` if the version does not exist.
        """

    def active(self) -> dict[str, RuleSet]:
        """The active rule set of every task that has one."""

    def history(self, task: str) -> list[Activation]:
        """Every activation of a task, oldest first."""

    def revision(self) -> int:
        """A number that grows with each activation, cheap to poll."""

    def begin_cycle(self, task: str, started: float, plan: msgspec.Raw | bytes) -> CycleRecord:
        """Open a cycle. An older open cycle of the task is left as it is; the caller resumes that one first."""

    def end_cycle(self, cycle_id: int, ended: float, outcome: bytes) -> None: ...

    def open_cycle(self, task: str) -> CycleRecord | None:
        """The newest cycle of a task that has not ended."""

    def cycles(self, task: str, *, limit: int) -> list[CycleRecord]:
        """The newest cycles of a task, newest first."""

    def close(self) -> None: ...
