"""``preceptor rules import``: rules that an operator wrote, past the lint and, with examples, through the gate."""

import time
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from gateway.commands.options import config_option, known_task, settings_of
from gateway.domain import RuleSet
from gateway.errors import BadRequest
from gateway.rules.files import read_rule_set
from gateway.settings import Settings
from gateway.store.base import Store
from optimizer.commands.arguments import FORM, history_of, level_left, linted, loaded, narrowed, with_store
from optimizer.commands.outcomes import print_outcome
from optimizer.commands.workbench import Workbench, work_on
from optimizer.dataset.items import Examples
from optimizer.distillation.confirmation import verify
from optimizer.distillation.judge_trust import JudgeTrust
from optimizer.distillation.outcome import Outcome
from optimizer.distillation.publish import publish

_BY = "import"


@click.command("import", epilog="Example: preceptor rules import arithmetic rules.json --data held-out.jsonl")
@config_option
@click.option(
    "--data", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=f"Store only what passes lint and gate on these examples. {FORM}",
)  # fmt: skip
@click.option("--activate", is_flag=True, help="Make the rules live if they pass (with --data).")
@click.argument("task")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_rules(config: Path | None, data: Path | None, activate: bool, task: str, file: Path) -> None:
    """Store a rule set from a file as the next version.

    From JSON, or from plain text (.txt, .md) with a rule on each line. Without --data nothing is tested, and nothing
    goes live; the lint only warns.
    """
    if activate and data is None:
        raise click.UsageError("--activate needs --data: untested rules go live with 'preceptor rules activate'")
    settings = settings_of(config)
    rule_set = read_rule_set(file, known_task(settings, task))
    if data is None:
        linted(rule_set, with_store(settings, _requests(settings, task)), settings)
        version = with_store(settings, lambda store: _stored(store, rule_set)).version
        click.echo(f"stored as version {version}: 'preceptor rules activate {task} {version}' makes it live")
        return
    settings = narrowed(settings, task)
    examples = loaded(data, settings, task)
    if refused := linted(rule_set, [item.request for item in examples.items], settings):
        raise BadRequest(f"{len(refused)} texts must not be used: nothing was stored")
    _through_the_gate(settings, task, rule_set, examples, activate=activate)


def _through_the_gate(settings: Settings, task: str, rule_set: RuleSet, examples: Examples, *, activate: bool) -> None:
    """Test rules as ``distill`` does: the test counts, and the next one on the same examples is stricter."""
    section, began = settings.tasks[task], time.time()
    history = history_of(settings, task)
    level = level_left(examples.items, history)

    async def work(workbench: Workbench) -> tuple[Outcome, JudgeTrust]:
        trust = await workbench.learner.trust(task, section, workbench.evaluator)
        if trust.permission == "never":
            raise BadRequest(f"{trust.why}: nothing was stored")
        tested = await verify(
            workbench.evaluator, workbench.learner.model(section.weak), section.grader, examples.items,
            task=task, incumbent=history.live, candidate=rule_set, margin=settings.optimizer.margin,
            group_margin=settings.optimizer.group_margin,
            outside_margin=settings.optimizer.outside_margin, level=level,
        )  # fmt: skip
        return msgspec.structs.replace(tested, by=_BY, level=level), trust

    outcome, trust = work_on(settings, work).result
    note = f"the gate says {outcome.verdict}: nothing was stored"
    if outcome.adopted:
        share = 1.0 if activate and trust.permission == "decides" else 0.0
        published = with_store(
            settings,
            lambda store: publish(
                store, rule_set, outcome.evidence, incumbent=history.live, share=share,
                started=began, now=time.time(), by=_BY,
            ),
        )  # fmt: skip
        version = published.rule_set.version
        outcome = msgspec.structs.replace(outcome, version=version, activated=published.activated)
        note = f"stored as version {version}: {'live' if published.activated else published.note}"
        note += f"; {trust.why}" if trust.why else ""
    with_store(settings, lambda store: _ended(store, outcome, began))
    print_outcome(outcome, False)
    if not outcome.adopted:
        raise BadRequest(note)
    click.echo(note)


def _ended(store: Store, outcome: Outcome, began: float) -> None:
    record = store.begin_cycle(outcome.task, began, b"{}")
    store.end_cycle(record.id, time.time(), outcome.encoded())


def _stored(store: Store, rule_set: RuleSet) -> RuleSet:
    active = store.active().get(rule_set.task)
    parent = active.version if active else None
    return store.publish(msgspec.structs.replace(rule_set, created=time.time(), decided_by=_BY, parent=parent))


def _requests(settings: Settings, task: str) -> Callable[[Store], list[bytes]]:
    """Read the newest requests of a task with feedback."""
    limit = settings.optimizer.max_items
    return lambda store: [entry.exchange.request for entry in store.graded(task, limit=limit)]
