"""The exchanges on which the parts of a version stand: whose mistakes taught a rule or a line of a decision list.

So that a key can be revoked, or a person forgotten, and what they taught is named. Parts of the incumbent keep what its
own evidence says. Decides nothing.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from gateway.domain import RuleRecord, RuleSet
from gateway.proof import PartSource
from optimizer.dataset.items import Item


def part_sources(
    candidate: RuleSet, records: Sequence[RuleRecord], items: Sequence[Item], incumbent: RuleSet | None
) -> tuple[PartSource, ...]:
    """Return the sources of every rule and every line of the decision list of a candidate.

    ``items`` are those of the cycle. A rule stands on the mistakes of its groups; a decision list was shown all items,
    so each of its lines stands on all of them.
    """
    by_id = {item.id: item for item in items}
    mistakes = {record.id: record.mistakes for record in records}
    before = incumbent.evidence.sources if incumbent is not None and incumbent.evidence is not None else ()
    known = {(source.part, source.text): source for source in before}
    sources = []
    for rule in candidate.rules:
        behind = [by_id[id_] for id_ in mistakes.get(rule.id, ()) if id_ in by_id]
        kept = known.get(("rule", rule.text))
        sources.append(kept if kept is not None and not behind else _source("rule", rule.text, behind))
    for line in candidate.worksheet.decisions if candidate.worksheet is not None else ():
        text = f"{line.when or 'always'}: {line.result}"
        sources.append(known.get(("decision", text)) or _source("decision", text, items))
    return tuple(sources)


def _source(part: Literal["rule", "decision"], text: str, items: Iterable[Item]) -> PartSource:
    behind = list(items)
    return PartSource(
        part=part,
        text=text,
        exchanges=len(behind),
        keys=tuple(sorted({item.key for item in behind if item.key})),
        tenants=tuple(sorted({item.tenant for item in behind if item.tenant})),
    )
