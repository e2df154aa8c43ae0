"""The walk of a migration with scripted models; the command is tested in ``test_optimizer_commands_migrate``."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.domain import RuleSet
from gateway.errors import UpstreamUnreachable
from gateway.store.memory import MemoryStore
from optimizer.dataset.items import BadData, Examples
from optimizer.distillation.outcome import Outcome, plan_for
from optimizer.migration.run import Migrating, Migration, migrate, set_out
from optimizer.migration.source import ExampleSource
from tests.fakes import settings
from tests.scripted import FOUND, Counting, Strong, Weak, evaluator, optimizer, questions

SETTINGS = settings()


class Knowing(Strong):
    """A strong model that can add as well."""

    def reply(self, body: dict[str, Any], rule_set: RuleSet | None) -> tuple[str, int]:
        asked = body["messages"][-1]["content"]
        if not asked.startswith("What is"):
            return super().reply(body, rule_set)
        words = asked.rstrip("?").split()
        return str(int(words[2]) + int(words[-1]) * (2 if "twice" in words else 1)), 5


def setting(count: int = 300) -> Migrating:
    source = ExampleSource(name="examples.jsonl", examples=Examples(items=tuple(questions(count))))
    plan = plan_for("arithmetic", source.examples, incumbent=None, started=0.0, by="migrate")
    return set_out(source, plan, optimizer(confirmation_items=80), calls_per_month=None)


async def migrated(
    folder: Path, *, weak: Counting | None = None, strong: Counting | None = None, store: MemoryStore | None = None
) -> Migration | Outcome:
    return await migrate(
        setting(),
        evaluator=evaluator(folder),
        weak=weak or Weak(),
        strong=strong or Knowing(FOUND),
        section=SETTINGS.tasks["arithmetic"],
        models=SETTINGS.models,
        store=store or MemoryStore(),
        now=lambda: 5.0,
        activate=False,
    )


def test_the_gate_gets_half_of_the_confirmation_items_and_the_reserve_the_other() -> None:
    """No item stands in two parts."""
    parts = setting()
    groups = [parts.parts.induction, parts.parts.selection, parts.parts.confirmation, parts.reserve]
    ids = [item.id for group in groups for item in group]
    assert len(ids) == len(set(ids))
    assert abs(len(parts.reserve) - len(parts.parts.confirmation)) <= 1


def test_too_few_examples_are_refused() -> None:
    """Before anything is paid."""
    with pytest.raises(BadData, match="about 60"):
        setting(30)


async def test_the_arms_are_compared_on_what_the_gate_did_not_see(tmp_path: Path) -> None:
    """All of the reserve, and what was left when the gate stopped early."""
    result = await migrated(tmp_path)
    assert isinstance(result, Migration)
    given = setting()
    gate, reserve = len(given.parts.confirmation), len(given.reserve)
    assert result.arms[0].n == reserve + gate - result.outcome.items_used > reserve


async def test_rules_that_help_serve_as_well_as_the_strong_model(tmp_path: Path) -> None:
    """The weak model alone does not."""
    result = await migrated(tmp_path)
    assert isinstance(result, Migration)
    assert [arm.accuracy for arm in result.arms] == [1.0, pytest.approx(0.25, abs=0.12), 1.0]
    assert (result.serve, result.comparison.verdict) == ("weak + rules", "non-inferior")
    assert result.fixed_items.count > 0 == result.broken_items.count == result.lost_items.count


async def test_where_no_rules_help_the_weak_model_alone_is_compared(tmp_path: Path) -> None:
    """And told to lose, if it does."""
    result = await migrated(tmp_path, weak=Weak(cure="never written"))
    assert isinstance(result, Migration)
    assert [arm.name for arm in result.arms] == ["strong", "weak"]
    assert (result.serve, result.comparison.verdict) == ("strong", "worse")
    assert result.answer.startswith("No")


async def test_a_weak_model_that_errs_nowhere_needs_no_rules(tmp_path: Path) -> None:
    """That is an answer, too."""
    result = await migrated(tmp_path, weak=Knowing(FOUND))
    assert isinstance(result, Migration)
    assert (result.serve, result.outcome.adopted) == ("weak", False)
    assert result.answer.startswith("Yes")


async def test_a_failure_while_the_arms_are_compared_can_be_resumed(tmp_path: Path) -> None:
    """Nothing is decided, and what was published is found again."""
    store, strong = MemoryStore(), Knowing(FOUND)

    def fail(call: int) -> None:
        if call >= 10:
            raise UpstreamUnreachable("gone")

    strong.before = fail
    cut = await migrated(tmp_path, strong=strong, store=store)
    assert isinstance(cut, Outcome)
    assert cut.resumable and "gone" in cut.note
    result = await migrated(tmp_path, store=store)
    assert isinstance(result, Migration)
    assert len(store.rule_sets("arithmetic")) == 1


async def test_the_object_has_the_fields_of_a_distillation(tmp_path: Path) -> None:
    """Beside its own; none of them is hidden by another."""
    result = await migrated(tmp_path)
    assert isinstance(result, Migration)
    text = json.loads(result.encoded([("Command", "preceptor migrate")]))
    assert text["fixed"] == result.outcome.fixed
    assert text["facts"] == {"Command": "preceptor migrate"}
    assert {"arms", "comparison", "savings", "labels", "serve", "answer"} <= set(text)
