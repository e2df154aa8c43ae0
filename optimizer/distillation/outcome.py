"""The two ends of a run: a ``CyclePlan``, frozen so that a run can be repeated, and its ``Outcome``.

Both are stored as JSON. Nothing here decides anything.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from gateway.domain import Evidence, Measured, Rule, RuleRecord, RuleSet, Scratchpad, Value, VerdictName
from optimizer.dataset.items import Examples, Item, Mistake, RecordedReply, Split, split
from optimizer.distillation import rule_records as records
from optimizer.distillation.induction.induce import Rejected, conversation
from optimizer.evaluation.candidate_score import TriedCandidate
from optimizer.evaluation.evaluator import Trial, measured
from optimizer.evaluation.noise import Noise
from optimizer.statistics.paired_test import LEVEL, Finding, smallest_detectable

EXAMPLES = 10
"""Fixed items, and broken ones, that an outcome shows."""


class CyclePlan(Value, frozen=True):
    """One cycle, before it begins. Run again, it takes the same decisions from the same answers."""

    task: str
    started: float
    """Seconds since the epoch."""
    by: str
    """``cycle`` or ``distill``."""
    items: tuple[Item, ...]
    seen: dict[str, RecordedReply]
    unlabelled: tuple[Mistake, ...]
    incumbent: RuleSet | None
    spent: tuple[str, ...] = ()
    """Ids of items that confirmed something in an earlier cycle of the task: they confirm nothing again."""
    level: float = LEVEL
    """The share of useless changes that this cycle's test may adopt (``levels``)."""
    tenants: dict[str, str] = msgspec.field(default_factory=dict)
    """On whose behalf an item was asked, by its id, where the client said so."""

    def parts(self, *, selection: int, confirmation: int) -> Split:
        """The items in three parts, at most so many for selection and confirmation."""
        return split(
            self.items, salt=self.task, selection=selection, confirmation=confirmation, spent=frozenset(self.spent)
        )

    def encoded(self) -> bytes:
        """The plan as JSON, for ``Store.begin_cycle``."""
        return msgspec.json.encode(self)

    @staticmethod
    def decoded(data: bytes) -> "CyclePlan":
        """A plan out of the store. Raises ``msgspec.DecodeError`` for one that another version wrote differently."""
        return msgspec.json.decode(data, type=CyclePlan)


def plan_for(
    task: str,
    examples: Examples,
    *,
    incumbent: RuleSet | None,
    started: float,
    by: str,
    spent: Sequence[str] = (),
    level: float = LEVEL,
    tenants: Mapping[str, str] = MappingProxyType({}),
) -> CyclePlan:
    """The plan of a new cycle."""
    return CyclePlan(
        task=task,
        started=started,
        by=by,
        items=examples.items,
        seen=dict(examples.seen),
        unlabelled=examples.mistakes,
        incumbent=incumbent,
        spent=tuple(spent),
        level=level,
        tenants=dict(tenants),
    )


class Forecast(Value, frozen=True):
    """What can be said before anything is spent."""

    induction: int
    selection: int
    confirmation: int
    detectable: float
    """Smallest true gain in accuracy (0..1) that confirmation finds with 80% power."""


def forecast(parts: Split) -> Forecast:
    """How many items each stage has, and what they can show."""
    return Forecast(
        induction=len(parts.induction),
        selection=len(parts.selection),
        confirmation=len(parts.confirmation),
        detectable=smallest_detectable(len(parts.confirmation)),
    )


class Example(Value, frozen=True):
    """One item that the candidate fixed or broke."""

    id: str
    input: str
    expected: Any
    before: str
    after: str


class Outcome(Value, frozen=True):
    """How a cycle or a verification ended. ``note`` says it in plain words."""

    task: str
    note: str
    verdict: VerdictName = "cannot tell"
    adopted: bool = False
    """Whether a rule set was published (cycle), or would be (verification)."""
    fixed: int = 0
    broken: int = 0
    items_used: int = 0
    p_value: float = 1.0
    interval: tuple[float, float] = (-1.0, 1.0)
    """95% interval of the change in accuracy."""
    before: Measured = Measured(accuracy=0.0, n=0)
    after: Measured = Measured(accuracy=0.0, n=0)
    rules: tuple[Rule, ...] = ()
    """Of the candidate that was put to the gate."""
    scratchpad: Scratchpad = "none"
    version: int | None = None
    """Of the published rule set."""
    activated: bool = False
    against: int | None = None
    """Version of the incumbent; ``None`` for no rules or rules without a version."""
    detectable: float = 1.0
    """Smallest true gain in accuracy (0..1) that the planned items find with 80% power, the noise floor included."""
    noise: Noise | None = None
    """How often the incumbent disagreed with itself; ``None`` where nothing was left to chance."""
    level: float | None = None
    """The share of useless changes that the test may adopt; ``None`` where a cycle came to no test, and for a
    verification, which tests at 5%."""
    by: str = ""
    """Who ran it: ``cycle``, ``distill``; empty for a verification."""
    rejected: tuple[Rejected, ...] = ()
    """What was tried and not taken, and why: ``records`` and ``tried`` in one line each."""
    records: tuple[RuleRecord, ...] = ()
    """Every rule that the strong model wrote, and what became of it."""
    tried: tuple[TriedCandidate, ...] = ()
    """Quality against tokens of everything that ran on selection items."""
    fixed_examples: tuple[Example, ...] = ()
    broken_examples: tuple[Example, ...] = ()
    calls: int = 0
    """Model calls that this run paid for; answers from the cache are free."""
    tokens: int = 0
    """Prompt and output tokens of those calls, all models."""
    spent: tuple[str, ...] = ()
    """Ids of the items that the gate has looked at."""
    resumable: bool = False
    """Whether something outside failed, so that the same plan may be run again."""

    def encoded(self) -> bytes:
        """The outcome as JSON, for ``Store.end_cycle`` and ``--json``."""
        return msgspec.json.encode(self)


class Tested(Value, frozen=True):
    """A candidate that went through the gate."""

    candidate: RuleSet
    finding: Finding
    before: tuple[Trial, ...]
    after: tuple[Trial, ...]

    def evidence(self, against: int | None, books: Sequence[RuleRecord] = ()) -> Evidence:
        """What the rule set carries when it is published, with its own rules' records out of ``books``."""
        finding = self.finding
        return Evidence(
            verdict=finding.verdict,
            before=measured(self.before),
            after=measured(self.after),
            fixed=finding.pairs.fixed,
            broken=finding.pairs.broken,
            items_used=finding.pairs.n,
            p_value=finding.p_value,
            interval=finding.interval,
            against=against,
            note=finding.note,
            rules=records.of(self.candidate, books),
        )

    def on(self, outcome: Outcome) -> Outcome:
        """The outcome with this test's numbers and examples put in."""
        finding, pairs = self.finding, self.finding.pairs
        return msgspec.structs.replace(
            outcome,
            verdict=finding.verdict,
            fixed=pairs.fixed,
            broken=pairs.broken,
            items_used=pairs.n,
            p_value=finding.p_value,
            interval=finding.interval,
            before=measured(self.before),
            after=measured(self.after),
            rules=self.candidate.rules,
            scratchpad=self.candidate.scratchpad,
            fixed_examples=self._examples(fixed=True),
            broken_examples=self._examples(fixed=False),
            spent=tuple(trial.item.id for trial in self.before),
        )

    def _examples(self, *, fixed: bool) -> tuple[Example, ...]:
        changed = [
            (old, new)
            for old, new in zip(self.before, self.after, strict=True)
            if new.correct is fixed and old.correct is not fixed
        ]
        return tuple(
            Example(
                id=old.item.id,
                input=conversation(old.item.request)[1],
                expected=old.item.expected,
                before=old.answer.text,
                after=new.answer.text,
            )
            for old, new in changed[:EXAMPLES]
        )
