"""A task's page."""

import msgspec

from gateway.domain import CycleRecord, RuleSet
from optimizer.console.task import cycle_line, next_run, waiting_versions
from tests.consoles import CONFIG, NOW
from tests.fakes import settings

CYCLE = CycleRecord(id=1, task="t", started=1.0, plan=b"{}")


def test_versions_newer_than_all_that_served_wait() -> None:
    """An old one that never served waits for nobody."""
    versions = [RuleSet(task="t", version=number) for number in (1, 2, 3, 4)]
    assert [known.version for known in waiting_versions(versions, [2, None])] == [3, 4]
    assert [known.version for known in waiting_versions(versions, [4])] == []


def test_a_run_is_told_in_a_line() -> None:
    """One under way and one of an older form, too."""
    assert cycle_line(CYCLE).words == "under way"
    ended = msgspec.structs.replace(CYCLE, ended=2.0)
    assert "ended without a result" in cycle_line(ended).words
    assert "ended without a result" in cycle_line(msgspec.structs.replace(ended, outcome=b'{"x": 1}')).words
    noted = msgspec.structs.replace(ended, outcome=b'{"task": "t", "note": "too few mistakes"}')
    assert cycle_line(noted).words == "too few mistakes"


def test_the_next_run_follows_the_schedule() -> None:
    """None while the learner is off."""
    off = settings(CONFIG)
    on = settings(CONFIG.replace("enabled = false", 'enabled = true\nschedule = "0 * * * *"'))
    assert next_run(off, "ticket-desk", NOW) is None
    at = next_run(on, "ticket-desk", NOW)
    assert at is not None and 0 < at - NOW <= 3600
