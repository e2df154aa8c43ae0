"""The roll-outs of ``tests/bench/live/harm.py``, one small seeded town each: what its tables claim in the large."""

import pytest

from tests.bench.live.harm import HEAD, Played, played, row

HOUR_S = 3600.0


@pytest.mark.parametrize("regime", ["compared", "complaints", "independent", "people", "queue"])
def test_twenty_points_of_harm_are_off_the_air(regime: str) -> None:
    """A thousand requests a day, conversations, night and day: within three days, before the rules are live."""
    run = played(regime, 20.0, 3.0, "now", HOUR_S, seed=1)
    assert run.days is not None and run.days <= 3 and run.harmed > 0


def test_harmless_rules_stay_where_clients_complain_late() -> None:
    """Complaints six hours late, conversations of two turns: once each, only where compared, the past as well."""
    run = played("complaints", 0.0, 4.0, "now", HOUR_S, seed=0)
    assert run.days is None and run.live


def test_a_row_counts_its_towns() -> None:
    """Towns in which nothing happened have no day."""
    runs = [Played(1.5, live=False, benefit=None, harmed=9), Played(None, live=True, benefit=None, harmed=1)]
    cells = row(runs, "signs", 5.0, 90.0, "now").strip("| ").split(" | ")
    assert len(cells) == len(HEAD) and cells[3:6] == ["50.0%", "50.0%", "50.0%"]
    assert cells[6] == "1.5 / never" and cells[7:9] == ["50%", "5"]
