"""The end of a run: a candidate's test, and the ``Outcome`` with everything that was tried.

Stored as JSON. Decides nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from gateway.domain import Effect, Evidence, Measured, Rule, RuleRecord, RuleSet, Scratchpad, Value, VerdictName
from gateway.proof import GroupResult, LabelSources, MainEffect, OutsideChange, PromisedGain
from gateway.teaching import Worksheet
from optimizer.dataset.recorded_request import read_request
from optimizer.distillation import rule_records as records
from optimizer.distillation.carried_test import CarriedTest
from optimizer.distillation.rejected import Rejected
from optimizer.evaluation.candidate_score import TriedCandidate
from optimizer.evaluation.evaluator import Trial, measured
from optimizer.evaluation.noise import Noise
from optimizer.statistics.adjusted_gain import LookState
from optimizer.statistics.paired_test import Finding

EXAMPLES = 100
"""Fixed items, and broken items, kept in an outcome at most."""
_LETTERS = 60_000
"""Characters of the fixed items, and of the broken ones, at most; the first is kept however long it is."""
_LONGEST = 4000
"""Characters of a text."""


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
    """The share of useless changes adopted by this stage of the test at most; ``None`` for a cycle without a test, and
    for a verification (5%)."""
    begins: bool = True
    """False for a stage of a test that an earlier cycle began."""
    carried: CarriedTest | None = None
    """The candidate to carry on with new items; ``None`` after a verdict."""
    clusters: int = 0
    """Independent units among the items of the test."""
    promised: PromisedGain | None = None
    """The gain to expect of an adopted candidate; ``interval`` and the accuracies are the raw numbers."""
    claim: str = ""
    """The meaning of *right* in these numbers."""
    labels: LabelSources | None = None
    main_effects: tuple[MainEffect, ...] = ()
    """What the form does without rules, and what the rules add."""
    groups: tuple[GroupResult, ...] = ()
    """Groups of items, the largest loss first."""
    outside: tuple[OutsideChange, ...] = ()
    """New links, words and the like in replies outside the graded answer, the worst first."""
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
    drawn: tuple[str, ...] = ()
    """Ids of further items that ranked candidates near each other: they confirm nothing later."""
    set_aside: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Examples that the provider refused or did not answer in time, with the reasons; wrong in every arm."""
    provider: tuple[str, ...] = ()
    """What the models' providers wanted in this run: pauses, other fields in requests."""
    resumable: bool = False
    """True if something outside failed and the plan may run again."""

    @property
    def evidence(self) -> Evidence:
        """The outcome of a test as the evidence for its rule set."""
        return Evidence(
            verdict=self.verdict, before=self.before, after=self.after, fixed=self.fixed, broken=self.broken,
            items_used=self.items_used, p_value=self.p_value, interval=self.interval, against=self.against,
            note=self.note, clusters=self.clusters, promised=self.promised, claim=self.claim, labels=self.labels,
            main_effects=self.main_effects, groups=self.groups, outside=self.outside,
        )  # fmt: skip

    def encoded(self) -> bytes:
        """The outcome as JSON, for ``Store.end_cycle`` and ``--json``."""
        return msgspec.json.encode(self)


class Tested(Value, frozen=True):
    """A candidate with the gate's finding and all trials."""

    candidate: RuleSet
    finding: Finding
    before: tuple[Trial, ...]
    after: tuple[Trial, ...]
    claim: str = ""
    looks: tuple[LookState, ...] = ()
    """Every look of the test, those of earlier stages included."""
    promised: PromisedGain | None = None
    labels: LabelSources | None = None
    main_effects: tuple[MainEffect, ...] = ()
    groups: tuple[GroupResult, ...] = ()
    outside: tuple[OutsideChange, ...] = ()
    accuracies: tuple[float, float] | None = None
    """Of both arms, with the weights and labels of the test."""
    form_alone: tuple[Trial, ...] = ()
    """The trials of the third arm, the candidate's form with neutral words."""

    @property
    def arms(self) -> tuple[Measured, Measured]:
        """The means of both arms."""
        before, after = measured(self.before), measured(self.after)
        if self.accuracies is None:
            return before, after
        old, new = self.accuracies
        return msgspec.structs.replace(before, accuracy=old), msgspec.structs.replace(after, accuracy=new)

    def evidence(self, against: int | None, books: Sequence[RuleRecord] = ()) -> Evidence:
        """The evidence for the published rule set, with its own rules' records out of ``books``."""
        finding = self.finding
        return Evidence(
            verdict=finding.verdict,
            before=self.arms[0],
            after=self.arms[1],
            fixed=finding.pairs.fixed,
            broken=finding.pairs.broken,
            items_used=finding.pairs.n,
            p_value=finding.p_value,
            interval=finding.interval,
            against=against,
            note=finding.note,
            rules=records.of(self.candidate, books),
            clusters=finding.clusters,
            promised=self.promised,
            claim=self.claim,
            labels=self.labels,
            main_effects=self.main_effects,
            groups=self.groups,
            outside=self.outside,
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
            clusters=finding.clusters,
            promised=self.promised,
            claim=self.claim,
            labels=self.labels,
            main_effects=self.main_effects,
            groups=self.groups,
            outside=self.outside,
            before=self.arms[0],
            after=self.arms[1],
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
        return within(
            ChangedItem(
                id=old.item.id,
                input=_clipped(read_request(old.item.request).transcript),
                expected=old.item.expected,
                before=_clipped(old.answer.text),
                after=_clipped(new.answer.text),
            )
            for old, new in changed[:EXAMPLES]
        )


def within(items: Iterable[ChangedItem], most: int = _LETTERS) -> tuple[ChangedItem, ...]:
    """Return the first items with ``most`` characters together: thousands of outcomes are read at once."""
    kept, size = list[ChangedItem](), 0
    for item in items:
        size += len(item.input) + len(item.before) + len(item.after)
        if kept and size > most:
            break
        kept.append(item)
    return tuple(kept)


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."
