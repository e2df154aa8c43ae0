"""Limits and budgets in the configuration."""

import pytest

from gateway.errors import ConfigurationError
from gateway.settings.quotas import NO_LIMITS, Budget, Limits
from tests.fakes import CONFIG, settings

KEY = f'[keys.team]\nhash = "sha256:{"0" * 64}"\n'


def test_keys_tasks_and_upstreams_have_limits() -> None:
    """As a table on one line; keys and tasks have a budget, too."""
    made = settings(
        CONFIG.replace("[models.small]", "limits = { concurrent = 2 }\n[models.small]", 1)
        + KEY
        + 'limits = { requests_per_minute = 600, tokens_per_minute = 200000 }\nbudget = { usd = 50.0, per = "day" }\n'
        + '[tasks.words]\nweak = "small"\nstrong = "large"\nbudget = { usd = 5, then = "warn" }\n'
    )
    assert made.upstreams["mock"].limits == Limits(concurrent=2)
    assert made.keys["team"].limits == Limits(requests_per_minute=600, tokens_per_minute=200_000)
    assert made.keys["team"].budget == Budget(usd=50.0, per="day", then="refuse")
    assert made.tasks["words"].budget == Budget(usd=5.0, per="month", then="warn")
    assert made.tasks["arithmetic"].limits is NO_LIMITS and not NO_LIMITS.any and Limits(concurrent=1).any


@pytest.mark.parametrize(
    ("line", "mistake"),
    [("limits = { requests = 3 }", "keys.team.limits.requests: unknown setting"),
     ("limits = { concurrent = 0 }", "keys.team.limits.concurrent: Expected `int` >= 1"),
     ("budget = { per = 'day' }", "keys.team.budget.usd: is missing"),
     ("budget = { usd = 1, per = 'year' }", "keys.team.budget.per: must be one of day, month"),
     ("budget = { usd = -1 }", "keys.team.budget.usd: Expected `float` > 0.0")],
)  # fmt: skip
def test_a_mistake_is_named(line: str, mistake: str) -> None:
    """With its place."""
    with pytest.raises(ConfigurationError) as caught:
        settings(CONFIG + KEY + line)
    assert [text.split(" (")[0] for text in caught.value.mistakes] == [mistake]
