"""``preceptor forget``: delete the texts of a key, of an end user, or of exchanges, with all their copies."""

import time
from collections.abc import Sequence
from pathlib import Path

import click

from gateway.commands.options import config_option, json_option, print_json, settings_of, store_of
from gateway.domain import Exchange, RuleSet, Value
from gateway.errors import BadRequest, PreceptorError, StoreError
from gateway.routing.conversation import tenant_digest
from gateway.rules.decisions import describe, take_off
from gateway.settings import Settings
from gateway.store import trail
from gateway.store.base import Store
from gateway.store.notes import FORGOTTEN
from gateway.store.selection import Selection
from gateway.store.spool import SPOOL, UNREADABLE
from gateway.store.writer import Writer
from gateway.teaching import Example
from optimizer.dataset.items import item_of_request
from optimizer.evaluation.answer_cache import FOLDER, forget_answers

_PAGE = 200
"""Exchanges that are read, or deleted, at once."""
_SPOOL_S = 30.0
"""Seconds for the exchanges in spool files to get into the store."""


class RuleOnMistakes(Value, frozen=True):
    """A rule, or a line of a decision list, that a strong model wrote from deleted exchanges."""

    task: str
    version: int
    text: str
    alone: bool = False
    """True if fewer than two others taught it: its version goes off the air."""


class Forgotten(Value, frozen=True):
    """The result of a deletion."""

    exchanges: int = 0
    examples: tuple[str, ...] = ()
    """Rule sets that lost examples, as ``TASK VERSION``."""
    rules: tuple[RuleOnMistakes, ...] = ()
    off_air: tuple[str, ...] = ()
    """Decisions that took versions off the air, in words."""
    cycles: int = 0
    """Cycles that lost texts."""
    answers: int = 0
    """Cached answers of models."""


@click.command(epilog="Example: preceptor forget --user u-1742")
@config_option
@json_option
@click.option("--id", "ids", multiple=True, help="An exchange, by the id of its reply; may be repeated.")
@click.option("--key", help="All exchanges of a key, by its name.")
@click.option("--user", help="All exchanges of an end user, as the client names it (user, metadata.user_id).")
@click.option("--off-air", is_flag=True, help="Take every version off the air that these exchanges helped to write.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def forget(
    config: Path | None, as_json: bool, ids: tuple[str, ...], key: str | None, user: str | None, off_air: bool,
    yes: bool,
) -> None:  # fmt: skip
    """Delete exchanges and copies of their texts.

    Feedback goes with its exchange. Copies are in spool files, in examples of rule sets, in plans and outcomes of
    cycles, and in the cache of answers, which is emptied; running gateways drop the replies that tasks keep in memory.
    Rules that were written from the deleted exchanges are listed. A version with a rule that fewer than two others
    taught goes off the air; with --off-air every such version, as after a key was revoked. Requests that a running
    gateway still works on come later: run the command again.
    """
    selection = Selection(ids=frozenset(ids), key=key, user=user)
    if selection == Selection():
        raise BadRequest("say what to forget: --id, --key or --user")
    settings = settings_of(config)
    with store_of(settings) as store:
        _read_spools(store, settings)
        exchanges = _selected(store, selection)
        if not (yes or as_json):
            click.confirm(f"Delete {_count(exchanges):,} exchanges and every copy of their texts?", abort=True)
        forgotten = forget_exchanges(store, settings, selection, exchanges, now=time.time(), off_air=off_air)
    if as_json:
        print_json(forgotten)
        return
    click.echo(f"{forgotten.exchanges:,} exchanges deleted")
    click.echo(f"texts deleted in {forgotten.cycles:,} cycles and {forgotten.answers:,} cached answers")
    for name in forgotten.examples:
        click.echo(f"rule set {name} lost examples: it was verified with them")
    for rule in forgotten.rules:
        others = ", and from nobody else's" if rule.alone else ""
        click.echo(f"a rule of {rule.task} {rule.version} was written from them{others}, read it: {rule.text}")
    for decision in forgotten.off_air:
        click.echo(decision)


def forget_exchanges(
    store: Store,
    settings: Settings,
    selection: Selection,
    exchanges: Sequence[Exchange],
    *,
    now: float,
    off_air: bool = False,
) -> Forgotten:
    """Delete the selected exchanges and every copy of their texts, and take off the air what stands on them alone.

    With ``off_air``, take off what stands on them at all. Blocks; raises ``StoreError``.
    """
    ids = {exchange.id for exchange in exchanges} | selection.ids
    tenant = tenant_digest([selection.user])

    def drops(example: Example) -> bool:
        return (
            example.origin in ids
            or (selection.key is not None and example.key == selection.key)
            or (tenant is not None and example.tenant == tenant)
        )

    tasks = {exchange.task for exchange in exchanges if exchange.task is not None}
    redacted = store.redact(drops, now=now, by="forget", why="their exchanges were deleted")
    tasks |= {rule_set.task for rule_set in redacted}
    tasks |= set(settings.tasks)
    rules = _rules_on(store, tasks, exchanges, key=selection.key, tenant=tenant)
    decided = [
        f"{task}: {describe(decision)} ({decision.why})"
        for task in sorted({rule.task for rule in rules})
        for decision in take_off(
            store, task, {rule.version for rule in rules if rule.task == task and (rule.alone or off_air)},
            now=now, by="forget", why="the exchanges behind it were deleted",
        )
    ]  # fmt: skip
    for at in range(0, len(exchanges), _PAGE):
        store.delete([exchange.id for exchange in exchanges[at : at + _PAGE]])
    for unreadable in settings.server.data_dir.glob(f"spool*{UNREADABLE}"):
        unreadable.unlink(missing_ok=True)  # nobody can tell whose texts these are
    cycles = store.redact_cycles(now + 1.0, tasks=tasks)
    FORGOTTEN.write(store, now)
    store.flush_deleted()
    how = ", ".join(name for name in ("key", "user") if getattr(selection, name) is not None) or "id"
    subject = f"{_count(exchanges)} exchanges by {how}"
    trail.try_to_append(store, trail.Deed(at=now, by="forget", what="exchanges forgotten", subject=subject))
    return Forgotten(
        exchanges=_count(exchanges),
        examples=tuple(f"{rule_set.task} {rule_set.version}" for rule_set in redacted),
        rules=rules,
        off_air=tuple(decided),
        cycles=cycles,
        answers=forget_answers(settings.server.data_dir / FOLDER),
    )


def _count(exchanges: Sequence[Exchange]) -> int:
    """Count exchanges without their shadows."""
    return sum(exchange.arm != "shadow" for exchange in exchanges)


def _rules_on(
    store: Store, tasks: set[str], exchanges: Sequence[Exchange], *, key: str | None, tenant: str | None
) -> tuple[RuleOnMistakes, ...]:
    """The parts of all versions that were written from the exchanges."""
    items = {item for exchange in exchanges if (item := _item_id(exchange)) is not None}
    listed = []
    for rule_set in (rule_set for task in sorted(tasks) for rule_set in store.rule_sets(task)):
        evidence = rule_set.evidence
        if evidence is None:
            continue
        for source in evidence.sources:
            if (key is not None and key in source.keys) or (tenant is not None and tenant in source.tenants):
                alone = not source.stands_without(key, tenant)
                listed.append(_on(rule_set, source.text, alone=alone))
        named = {entry.text for entry in listed if (entry.task, entry.version) == (rule_set.task, rule_set.version)}
        listed += [
            _on(rule_set, record.text, alone=items.issuperset(record.mistakes))
            for record in evidence.rules
            if record.status == "kept" and record.text not in named and not items.isdisjoint(record.mistakes)
        ]
    return tuple(listed)


def _on(rule_set: RuleSet, text: str, *, alone: bool) -> RuleOnMistakes:
    return RuleOnMistakes(task=rule_set.task, version=rule_set.version, text=text, alone=alone)


def _item_id(exchange: Exchange) -> str | None:
    try:
        return item_of_request(exchange.request).id
    except PreceptorError:
        return None


def _selected(store: Store, selection: Selection) -> list[Exchange]:
    exchanges: list[Exchange] = []
    position = 0
    while True:
        page, after = store.select(selection, position, limit=_PAGE)
        exchanges += page
        if after == position:
            return exchanges
        position = after


def _read_spools(store: Store, settings: Settings) -> None:
    """Write the exchanges of spool files into the store. Raises ``StoreError`` if that takes too long."""
    writer = Writer(store, spool=settings.server.data_dir / SPOOL)
    writer.start()
    try:
        if not writer.flush(_SPOOL_S):
            raise StoreError("the spool files cannot be read into the database now: try again")
    finally:
        writer.close(0.0)
