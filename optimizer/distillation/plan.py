"""The plan of a cycle, frozen before it begins, so that equal answers lead to equal decisions when it is run again.

Stored as JSON. Decides nothing.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from gateway.domain import Rule, RuleSet, Value
from gateway.proof import LabelSources
from optimizer.dataset.items import Examples, Item, Mistake, RecordedReply
from optimizer.dataset.split import Split, split
from optimizer.distillation.carried_test import CarriedTest
from optimizer.statistics.alpha_spending import stage_level
from optimizer.statistics.paired_test import LEVEL, smallest_detectable


class CyclePlan(Value, frozen=True):
    """One cycle, before it begins."""

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
    """The share of useless changes adopted by this cycle's test at most, all its stages together."""
    tenants: dict[str, str] = msgspec.field(default_factory=dict)
    """The tenant behind an item, by the item's id, if the client named any."""
    labels: LabelSources | None = None
    """The labels of the audit sample; ``None`` for a data file."""
    listed: tuple[str, ...] = ()
    """The answers that the operator lists as the task's labels."""
    promising: tuple[Rule, ...] = ()
    """Rules ahead in earlier cycles, and not proven."""
    pinned: tuple[Rule, ...] = ()
    """Pinned rules of the incumbent, in every candidate."""
    asked: RuleSet | None = None
    """A version by a person, to be put to the gate instead of looking for a candidate."""
    carried: CarriedTest | None = None
    """A candidate without a verdict, to be carried on with new items instead of looking for another."""

    def parts(self, *, selection: int, confirmation: int) -> Split:
        """The items in three parts, at most so many for selection and confirmation.

        A candidate carried on keeps its confirmation items, and gets every new audited item.
        """
        parts = split(
            self.items, salt=self.task, selection=selection, confirmation=confirmation, spent=frozenset(self.spent)
        )
        if self.carried is None:
            return parts
        return msgspec.structs.replace(parts, confirmation=(*self.carried.items, *self.carried.new(self.items)))

    @property
    def stage(self) -> int:
        """The stage of the test, from 0."""
        return self.carried.stage if self.carried is not None else 0

    @property
    def stage_level(self) -> float:
        """The level of this cycle's test: a part of the whole for a scheduled test, because it may be carried on."""
        return stage_level(self.level, self.stage) if self.by == "cycle" else self.level

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
    labels: LabelSources | None = None,
    listed: Sequence[str] = (),
    promising: Sequence[Rule] = (),
    pinned: Sequence[Rule] = (),
    asked: RuleSet | None = None,
    carried: CarriedTest | None = None,
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
        labels=labels,
        listed=tuple(listed),
        promising=tuple(promising),
        pinned=tuple(pinned),
        asked=asked,
        carried=carried,
    )


class Forecast(Value, frozen=True):
    """The size and power of a run, known before anything is spent."""

    induction: int
    selection: int
    confirmation: int
    detectable: float
    """The smallest true gain in accuracy (0..1) for a power of 80% in confirmation, at the level that will be used."""


def forecast(parts: Split, level: float = LEVEL) -> Forecast:
    """Count the items of each stage, and compute the smallest gain in their reach: clusters count, not copies."""
    return Forecast(
        induction=len(parts.induction),
        selection=len(parts.selection),
        confirmation=len(parts.confirmation),
        detectable=smallest_detectable(len({item.unit for item in parts.confirmation}), alpha=level),
    )
