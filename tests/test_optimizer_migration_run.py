"""The walk of a migration with scripted models; the command is tested in ``test_optimizer_commands_migrate``."""

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gateway.domain import RuleSet
from gateway.errors import UpstreamUnreachable
from gateway.settings import Model
from gateway.store.memory import MemoryStore
from optimizer.dataset.items import BadData, Examples
from optimizer.distillation.outcome import Outcome
from optimizer.distillation.plan import plan_for
from optimizer.migration.run import Migrating, Migration, migrate, set_out
from optimizer.migration.source import ExampleSource, from_log
from tests.fakes import CONFIG, settings
from tests.scripted import FOUND, Counting, Strong, Weak, evaluator, optimizer, questions
from tests.unclaimed import exchange

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
    folder: Path,
    *,
    setting_: Migrating | None = None,
    weak: Counting | None = None,
    strong: Counting | None = None,
    store: MemoryStore | None = None,
    models: Mapping[str, Model] = SETTINGS.models,
) -> Migration | Outcome:
    return await migrate(
        setting_ or setting(),
        evaluator=evaluator(folder),
        weak=weak or Weak(),
        strong=strong or Knowing(FOUND),
        section=SETTINGS.tasks["arithmetic"],
        models=models,
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


class Moody(Knowing):
    """Asked at a temperature, it errs in a fifth of its answers, in other fifths each time."""

    def __init__(self) -> None:
        super().__init__(FOUND)
        self._draws = Random(1)

    def reply(self, body: dict[str, Any], rule_set: RuleSet | None) -> tuple[str, int]:
        text, tokens = super().reply(body, rule_set)
        return (f"{text}0" if body.get("temperature") and self._draws.random() < 0.2 else text), tokens


async def test_the_same_model_does_not_lose_against_its_own_log(tmp_path: Path) -> None:
    """Its earlier answers are the only labels: both arms are held against them, and chance hits both alike."""
    asked = [{"temperature": 0.7, **json.loads(item.request)} for item in questions(300)]
    log = Moody()
    exchanges = [
        exchange(number, body, task="arithmetic", arm="strong", model="large", reply=log.reply(body, None)[0])
        for number, body in enumerate(asked)
    ]
    section = SETTINGS.tasks["arithmetic"]
    source = from_log([], exchanges, section)
    plan = plan_for("arithmetic", source.examples, incumbent=None, started=0.0, by="migrate")
    result = await migrated(
        tmp_path, setting_=set_out(source, plan, optimizer(confirmation_items=80), calls_per_month=None),
        weak=Moody(), strong=Moody(),
    )  # fmt: skip
    assert isinstance(result, Migration)
    strong, weak = result.arms[0], result.arms[-1]
    assert strong.own_reference == strong.n and 0.5 < strong.accuracy < 0.8
    assert abs(strong.accuracy - weak.accuracy) < 0.1 and result.comparison.verdict != "worse"


async def test_all_that_the_run_spent_is_its_cost(tmp_path: Path) -> None:
    """The comparison of the arms costs more than learning does."""
    priced = settings(CONFIG.replace('"huge-1t"', '"huge-1t"\nprice = { input = 10, output = 10 }'))
    result = await migrated(tmp_path, models=priced.models)
    assert isinstance(result, Migration)
    strong = result.arms[0]
    assert strong.usd_per_thousand is not None and result.savings.one_time_usd is not None
    assert result.savings.one_time_usd > strong.n * strong.usd_per_thousand / 1000


async def test_without_a_verdict_nothing_is_saved(tmp_path: Path) -> None:
    """A price alone is no reason to move."""
    priced = settings(CONFIG.replace('"huge-1t"', '"huge-1t"\nprice = { input = 10, output = 10 }'))
    for weak, saves in ((Weak(cure="never written"), False), (None, True)):
        result = await migrated(tmp_path / str(saves), weak=weak, models=priced.models)
        assert isinstance(result, Migration)
        assert (result.savings.per_thousand_usd is not None) is saves
