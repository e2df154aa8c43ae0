"""How a run was measured, as a report says it."""

import pytest

from optimizer.commands.provenance import provenance
from optimizer.commands.workbench import Done
from optimizer.evaluation.budget import Ledger
from tests.fakes import CONFIG, settings

pytestmark = pytest.mark.drill

SECRET = CONFIG.replace(
    'base_url = "http://127.0.0.1:9/v1"', 'base_url = "http://user:pw@secret.example/v1"\napi_key = "sk-1"'
)


def test_models_versions_dates_and_the_command_are_told_and_no_secret() -> None:
    """Addresses and keys may hold secrets: they are left out."""
    done = Done(None, began=0.0, ended=3600.0, ledger=Ledger(budget_calls=1, budget_tokens=1))
    facts = dict(
        provenance(
            settings(SECRET), "arithmetic", done, command=["distill", "arithmetic", "--data", "my file"],
            examples="5 of my file",
        )
    )  # fmt: skip
    assert facts["Command"] == "preceptor distill arithmetic --data 'my file'"
    assert facts["Date"] == "1970-01-01 00:00 UTC to 1970-01-01 01:00 UTC"
    assert facts["Weak model"] == "small: tiny-1b (openai), without a price"
    assert facts["Grader"] == "numeric"
    assert not [value for value in facts.values() if "secret" in value or "sk-1" in value or "pw" in value]
