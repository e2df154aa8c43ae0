"""``preceptor verify``: the gate alone, for rules from anywhere."""

from pathlib import Path

import click
import msgspec

from gateway.commands.options import config_option, json_option, settings_of
from gateway.domain import RuleSet
from optimizer.commands.arguments import chosen, data_option, linted, loaded, narrowed, with_store
from optimizer.commands.outcomes import print_outcome, verbose_option
from optimizer.commands.progress import say
from optimizer.commands.workbench import Workbench, work_on
from optimizer.distillation.confirmation import verify as put_to_the_gate
from optimizer.distillation.outcome import Outcome


@click.command(epilog="Example: preceptor verify arithmetic --data held-out.jsonl --rules rules.json")
@config_option
@json_option
@data_option
@verbose_option
@click.option("--rules", required=True, help="The candidate: VERSION, a JSON FILE, active or none.")
@click.option("--against", default="active", show_default=True, help="The incumbent: VERSION, FILE, active or none.")
@click.argument("task")
def verify(config: Path | None, as_json: bool, data: Path, verbose: bool, rules: str, against: str, task: str) -> None:
    """Test one rule set against another on a data file.

    Runs the gate alone and publishes nothing. Rules that quote a question, or that no prompt should hold, are named.
    """
    settings = narrowed(settings_of(config), task)
    section, examples = settings.tasks[task], loaded(data, settings, task)
    candidate, incumbent = with_store(
        settings, lambda store: (chosen(store, task, rules, "--rules"), chosen(store, task, against, "--against"))
    )

    async def work(workbench: Workbench) -> Outcome:
        trust = await workbench.learner.trust(task, section, workbench.evaluator)
        if trust.why:
            say(trust.why)
        return await put_to_the_gate(
            workbench.evaluator, workbench.learner.model(section.weak), section.grader, examples.items,
            task=task, incumbent=incumbent, candidate=candidate or RuleSet(task=task),
            margin=settings.optimizer.margin, group_margin=settings.optimizer.group_margin,
            outside_margin=settings.optimizer.outside_margin,
        )  # fmt: skip

    requests = [item.request for item in examples.items]
    refused = linted(candidate, requests, settings) if candidate is not None else ()
    outcome = msgspec.structs.replace(work_on(settings, work).result, rejected=refused)
    print_outcome(outcome, as_json, verbose=verbose)
