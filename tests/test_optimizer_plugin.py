"""How the optimizer joins the gateway."""

from pathlib import Path

import msgspec

from gateway.plugins import installed
from gateway.settings.graders import JsonSchemaGrader, PythonGrader
from gateway.store.memory import MemoryStore
from optimizer.plugin import plugin
from tests.fakes import FakeUpstream
from tests.learning import fill, learning_settings, made, script


def test_the_gateway_finds_the_optimizer_by_its_entry_point() -> None:
    """Nobody imports it."""
    assert plugin in installed()


def test_a_schedule_that_is_none_is_found_by_check() -> None:
    """At start-up, not when the first cycle is due."""
    assert plugin.mistakes(learning_settings()) == []
    (mistake,) = plugin.mistakes(learning_settings('schedule = "every day"\n'))
    assert mistake.startswith("optimizer.schedule: ")
    configured = learning_settings()
    own = msgspec.structs.replace(configured.tasks["arithmetic"], schedule="at noon")
    (mistake,) = plugin.mistakes(msgspec.structs.replace(configured, tasks={"arithmetic": own}))
    assert mistake.startswith("tasks.arithmetic.schedule: ")


def test_a_grader_that_cannot_be_used_is_found_by_check() -> None:
    """A schema that is none, a function that is not there: every mistake with its key."""
    configured = learning_settings()
    tasks = {
        "orders": msgspec.structs.replace(
            configured.tasks["arithmetic"], grader=JsonSchemaGrader(schema={"type": "objec"})
        ),
        "own": msgspec.structs.replace(configured.tasks["arithmetic"], grader=PythonGrader(call="nowhere:grade")),
    }
    result = plugin.mistakes(msgspec.structs.replace(configured, tasks=tasks))
    assert [mistake.partition(": ")[0] for mistake in result] == ["tasks.orders.grader.schema", "tasks.own.grader.call"]


def test_prompts_of_the_operator_are_found_by_check(tmp_path: Path) -> None:
    """A lost blank would be noticed in the middle of a cycle; a judge has the same folder."""
    (tmp_path / "judge.md").write_text("Which is better?")
    configured = learning_settings(f'prompts_dir = "{tmp_path}"\n[tasks.judged]\nweak = "small"\nstrong = "large"\n'
                                   'grader = { kind = "judge" }\n')  # fmt: skip
    mistakes = plugin.mistakes(configured)
    assert "optimizer.prompts_dir: judge.md: the blank {{a}} is missing" in mistakes
    assert any(mistake.startswith("tasks.judged.grader.prompts_dir: ") for mistake in mistakes)


async def test_a_disabled_optimizer_does_nothing(tmp_path: Path) -> None:
    """``optimizer.enabled = false`` leaves learning to ``preceptor optimize``."""
    store, upstream = MemoryStore(), FakeUpstream(script())
    fill(store, 150)
    async with plugin.lifespan(made(upstream, store, learning_settings(data_dir=str(tmp_path)))):
        pass
    assert not (tmp_path / "evaluations").exists()
    assert upstream.bodies == []
