"""The two ends of a run: a ``CyclePlan``, frozen so that a run can be repeated, and its ``Outcome``.

Both are stored as JSON. Nothing here decides anything.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from gateway.domain import Effect, Evidence, Measured, Rule, RuleRecord, RuleSet, Scratchpad, Value, VerdictName
from gateway.teaching import Worksheet
from optimizer.dataset.items import Examples, Item, Mistake, RecordedReply
from optimizer.dataset.recorded_request import read_request
from optimizer.dataset.split import Split, split
from optimizer.distillation import rule_records as records
from optimizer.distillation.induction.induce import Rejected
from optimizer.evaluation.candidate_score import TriedCandidate
from optimizer.evaluation.evaluator import Trial, measured
from optimizer.evaluation.noise import Noise
from optimizer.statistics.paired_test import LEVEL, Finding, smallest_detectable

EXAMPLES = 10
"""Fixed items, and broken items, shown in an outcome."""


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
    """Ids of items used for confirmation in an earlier cycle of the task: they confirm nothing again."""
    level: float = LEVEL
    """The share of useless changes adopted by this cycle's test at most (``alpha_spending``)."""
    tenants: dict[str, str] = msgspec.field(default_factory=dict)
    """The tenant behind an item, by the item's id, if the client named any."""

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
        """Read a plan out of the store. Raises ``msgspec.DecodeError`` for a plan of an incompatible version."""
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
    """The size and power of a run, known before anything is spent."""

    induction: int
    selection: int
    confirmation: int
    detectable: float
    """The smallest true gain in accuracy (0..1) for a power of 80% in confirmation."""


def forecast(parts: Split) -> Forecast:
    """Count the items of each stage, and compute the smallest gain in their reach."""
    return Forecast(
        induction=len(parts.induction),
        selection=len(parts.selection),
        confirmation=len(parts.confirmation),
        detectable=smallest_detectable(len(parts.confirmation)),
    )


class ChangedItem(Value, frozen=True):
    """One item, fixed or broken by the candidate."""

    id: str
    input: str
    expected: Any
    before: str
    after: str


class Outcome(Value, frozen=True):
    """The end of a cycle or of a verification; ``note`` says it in plain words."""

    task: str
    note: str
    verdict: VerdictName = "cannot tell"
    adopted: bool = False
    """True if a rule set was published (cycle), or would be (verification)."""
    fixed: int = 0
    broken: int = 0
    items_used: int = 0
    p_value: float = 1.0
    interval: tuple[float, float] = (-1.0, 1.0)
    """95% interval of the change in accuracy."""
    before: Measured = Measured(accuracy=0.0, n=0)
    after: Measured = Measured(accuracy=0.0, n=0)
    rules: tuple[Rule, ...] = ()
    """Of the candidate at the gate."""
    scratchpad: Scratchpad = "none"
    examples: int = 0
    """Solved examples of the candidate at the gate."""
    worksheet: Worksheet | None = None
    """Of the candidate at the gate."""
    effects: Mapping[str, Effect] = msgspec.field(default_factory=dict)
    """The effect of each part (room, rules, examples, worksheet) on selection items: the whole against the rest."""
    version: int | None = None
    """Of the published rule set."""
    activated: bool = False
    against: int | None = None
    """Version of the incumbent; ``None`` for no rules or rules without a version."""
    detectable: float = 1.0
    """The smallest true gain in accuracy (0..1) for a power of 80% on the planned items, noise floor included."""
    noise: Noise | None = None
    """The incumbent's disagreement with itself; ``None`` if nothing was left to chance."""
    level: float | None = None
    """The share of useless changes adopted by the test at most; ``None`` for a cycle without a test, and for a
    verification (5%)."""
    by: str = ""
    """The caller: ``cycle``, ``distill``; empty for a verification."""
    rejected: tuple[Rejected, ...] = ()
    """Everything tried and not taken, with reasons: ``records`` and ``tried`` in one line each."""
    records: tuple[RuleRecord, ...] = ()
    """Every rule by the strong model, with its fate."""
    tried: tuple[TriedCandidate, ...] = ()
    """Quality against tokens of every rule set on selection items."""
    fixed_examples: tuple[ChangedItem, ...] = ()
    broken_examples: tuple[ChangedItem, ...] = ()
    calls: int = 0
    """ModelClient calls paid for by this run; answers from the cache are free."""
    tokens: int = 0
    """Prompt and output tokens of those calls, all models."""
    spent: tuple[str, ...] = ()
    """Ids of the items seen by the gate."""
    set_aside: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Examples that the provider refused or did not answer in time, with the reasons; wrong in every arm."""
    resumable: bool = False
    """True if something outside failed and the plan may run again."""

    def encoded(self) -> bytes:
        """The outcome as JSON, for ``Store.end_cycle`` and ``--json``."""
        return msgspec.json.encode(self)


class Tested(Value, frozen=True):
    """A candidate with the gate's finding and all trials."""

    candidate: RuleSet
    finding: Finding
    before: tuple[Trial, ...]
    after: tuple[Trial, ...]

    def evidence(self, against: int | None, books: Sequence[RuleRecord] = ()) -> Evidence:
        """The evidence for the published rule set, with its own rules' records out of ``books``."""
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
            examples=len(self.candidate.examples),
            worksheet=self.candidate.worksheet,
            fixed_examples=self._examples(fixed=True),
            broken_examples=self._examples(fixed=False),
            spent=tuple(trial.item.id for trial in self.before),
        )

    def _examples(self, *, fixed: bool) -> tuple[ChangedItem, ...]:
        changed = [
            (old, new)
            for old, new in zip(self.before, self.after, strict=True)
            if new.correct is fixed and old.correct is not fixed
        ]
        return tuple(
            ChangedItem(
                id=old.item.id,
                input=read_request(old.item.request).transcript,
                expected=old.item.expected,
                before=old.answer.text,
                after=new.answer.text,
            )
            for old, new in changed[:EXAMPLES]
        )
