"""The parts of a proof that a rule set helps: its promise, its labels, its main effects, its groups,
its changes outside the answer, and the exchanges on which its parts stand.

Plain values: ``optimizer`` measures them, a rule set's ``Evidence`` holds them.
"""

from typing import Literal

import msgspec


class PromisedGain(msgspec.Struct, frozen=True, kw_only=True):
    """The gain to expect from a published version: the measured gain less the luck of being published."""

    gain: float
    """Change in accuracy, 0..1."""
    interval: tuple[float, float]
    """It holds the true change in at least 93% of the published cases."""


class LabelSources(msgspec.Struct, frozen=True, kw_only=True):
    """The labels behind a measurement: who gave them, and whether they were asked for."""

    people: int = 0
    """Items labelled by people or by data."""
    models: int = 0
    """Items labelled by models, whose right answers are unknown: a gain there is a gain in agreement."""
    labellers: tuple[str, ...] = ()
    """Names of the people, keys and models, most items first."""
    unasked: int = 0
    """Audited items labelled of their users' own accord."""
    asked: int = 0
    """Audited items labelled whatever their outcome: by the label queue, by a model."""
    missing: int = 0
    """Audited items without a label; the asked ones stand for them."""
    judged_only: int = 0
    """Of them, items with a judgement of the incumbent's reply, but without the right answer."""
    passed_over: int = 0
    """Audited items that the queue asked about without an answer: the test counts each as a loss."""
    contradicted: int = 0
    """Items where a model's label is another than a person's."""
    problem: str = ""
    """Why nothing can be shown by these labels; empty if something can."""
    ask: int = 0
    """Items to label so that something can be shown."""


class MainEffect(msgspec.Struct, frozen=True, kw_only=True):
    """The part of one ingredient in a measured change."""

    part: Literal["form", "rules"]
    """``form``: the candidate's form with neutral words against the incumbent. ``rules``: the candidate against it."""
    change: float
    interval: tuple[float, float]
    """95% interval of the change."""
    items: int


class GroupResult(msgspec.Struct, frozen=True, kw_only=True):
    """The change within one group of items: a class, a tenant, a language, short or long questions."""

    group: str
    items: int
    before: float
    after: float
    """Accuracy, 0..1."""
    detectable: float
    """The smallest loss (0..1) that would have been seen with 80% power; 1.0 for none."""


OutsideKind = Literal["link", "address", "code", "language", "refusal", "name", "number", "word", "length"]


class OutsideChange(msgspec.Struct, frozen=True, kw_only=True):
    """New things of one kind in replies, outside the graded answer."""

    kind: OutsideKind
    of: str = ""
    """Empty: all replies; else the tenant or key whose replies they are."""
    items: int
    gained: int
    """Replies with something new that neither the request, the right answer nor the replies before have."""
    lost: int
    """Replies that lost something of the kind: what chance takes and gives."""
    refused: bool
    """True if this alone speaks against the change."""
    example: str = ""
    """The most frequent of them; empty if each is another."""


class PartSource(msgspec.Struct, frozen=True, kw_only=True):
    """The exchanges on which a rule or a line of a decision list stands: the mistakes from which it was written."""

    part: Literal["rule", "decision"]
    text: str
    exchanges: int
    keys: tuple[str, ...] = ()
    """Names of the keys behind them."""
    tenants: tuple[str, ...] = ()
    """16 hex digits for each end user behind them."""

    def stands_without(self, key: str | None, tenant: str | None) -> bool:
        """Decide whether two other keys, or two other end users, are left behind the part.

        A key may name any number of end users, so without it keys are counted.
        """
        if key is not None and key in self.keys:
            return len(set(self.keys) - {key}) > 1
        if tenant is not None and tenant in self.tenants:
            return len(set(self.tenants) - {tenant}) > 1
        return True
