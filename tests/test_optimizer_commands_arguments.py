"""What the commands of the optimizer are given."""

from pathlib import Path

import pytest

from gateway.domain import RuleSet
from gateway.errors import NotFound, PreceptorError
from gateway.store.memory import MemoryStore
from optimizer.commands.arguments import chosen, narrowed, write_report
from tests.fakes import CONFIG, settings
from tests.scripted import GOOD_RULE
from tests.shell import rules_file

MORE = """
[upstreams.other]
kind = "openai"
base_url = "http://127.0.0.1:8/v1"
[models.judge]
upstream = "other"
model = "wise"
[models.unused]
upstream = "other"
model = "x"
[tasks.prose]
weak = "small"
strong = "large"
grader = { kind = "judge", model = "judge" }
"""


def test_only_what_a_task_needs_is_left() -> None:
    """Nothing else is started or must be there; a judge is needed."""
    whole = settings(CONFIG.replace("[optimizer]", MORE + "[optimizer]"))
    sums, prose = narrowed(whole, "arithmetic"), narrowed(whole, "prose")
    assert (set(sums.models), set(sums.upstreams), set(sums.tasks)) == ({"small", "large"}, {"mock"}, {"arithmetic"})
    assert set(prose.models) == {"small", "large", "judge"}
    with pytest.raises(NotFound):
        narrowed(whole, "nowhere")


def test_a_command_asks_equal_deployments_by_their_weights() -> None:
    """As the gateway and the scheduled cycles do."""
    shared = 'upstreams = ["other", "mock"]\nweights = [3, 1]\nmodel = "wise"'
    whole = settings(CONFIG + MORE.replace('upstream = "other"\nmodel = "wise"', shared))
    prose = narrowed(whole, "prose")
    assert prose.models["judge"] == whole.models["judge"] and set(prose.upstreams) == {"mock", "other"}


def test_rules_are_named_by_version_file_or_word(tmp_path: Path) -> None:
    """``none`` is no rules, ``active`` what is live."""
    store = MemoryStore()
    stored = store.publish(RuleSet(task="arithmetic"))
    assert chosen(store, "arithmetic", "none", "--rules") is None
    assert chosen(store, "arithmetic", "active", "--rules") is None
    assert chosen(store, "arithmetic", "1", "--rules") == stored
    read = chosen(store, "arithmetic", rules_file(tmp_path, GOOD_RULE), "--rules")
    assert read is not None and read.rules[0].text == GOOD_RULE


def test_a_report_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    """A folder in its place."""
    with pytest.raises(PreceptorError, match="cannot be written"):
        write_report(tmp_path, "text")
