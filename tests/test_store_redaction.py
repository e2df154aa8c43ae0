"""Cycles and rule sets without the texts of deleted exchanges."""

import msgspec
import pytest

from gateway.domain import Activation, CycleRecord, RuleSet
from gateway.store.redaction import redacted_cycle, redaction

ENDED = CycleRecord(id=1, task="t", started=1.0, plan=b'{"items":[]}', ended=2.0, outcome=b'{"note":"n"}')


def test_a_cycle_without_texts_stays_as_it_is() -> None:
    """There is nothing to write."""
    redacted = redacted_cycle(ENDED)
    assert redacted is not None and (redacted.plan, redacted.outcome) == (b"{}", b'{"note":"n"}')
    assert redacted_cycle(redacted) is None


def test_rules_and_quotations_go_with_the_texts() -> None:
    """A refused rule may quote a user; a carried test holds whole requests. Numbers stay."""
    outcome = {
        "note": "the strong model wrote no usable rule: all 1 were refused ('secret' quotes it)", "spent": ["a"],
        "carried": {"items": ["secret"]}, "records": [{"text": "secret"}], "rejected": [{"what": "secret"}],
    }  # fmt: skip
    redacted = redacted_cycle(msgspec.structs.replace(ENDED, outcome=msgspec.json.encode(outcome)))
    assert redacted is not None and msgspec.json.decode(redacted.outcome or b"") == {
        "note": "the strong model wrote no usable rule: all 1 were refused", "spent": ["a"],
    }  # fmt: skip
    assert redacted_cycle(redacted) is None


@pytest.mark.parametrize("outcome", [b"", b"[]", b"\xff", b"{"])
def test_an_outcome_that_cannot_be_read_is_emptied(outcome: bytes) -> None:
    """It may hold anything."""
    redacted = redacted_cycle(CycleRecord(id=1, task="t", started=1.0, plan=b"{}", ended=2.0, outcome=outcome))
    assert redacted is not None and redacted.outcome == b"{}"


def test_a_redaction_is_an_entry_of_the_history() -> None:
    """About the version, by whom and why."""
    entry = redaction(RuleSet(task="t", version=3), now=4.0, by="forget", why="asked for")
    assert entry == Activation(task="t", version=3, created=4.0, by="forget", why="asked for", kind="redaction")
