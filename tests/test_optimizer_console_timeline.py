"""Charts: points with enough labels, and marks where they belong."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.console.timeline import VersionFlag, evidence_chart, path_chart, points_of, quality_chart, towards_harm
from optimizer.monitoring.daybook import BookedDay, LabelledReplies


def day(number: int, right: int, n: int, version: int | None = 1) -> BookedDay:
    """A day with audited labels."""
    return BookedDay(day=number, labels=(LabelledReplies(version=version, audited=n, audited_right=right),))


def test_days_with_few_labels_are_joined() -> None:
    """A point of three labels would tell nothing."""
    points = points_of([day(1, 3, 4), day(2, 4, 4), day(3, 3, 4), day(4, 2, 2)])
    assert [(point.first, point.last, point.ruled.n if point.ruled else 0) for point in points] == [
        (1, 3, 12),
        (4, 4, 2),
    ]


def test_rules_and_their_absence_are_two_lines() -> None:
    """The weak model without rules is the comparison."""
    (point,) = points_of([BookedDay(day=1, labels=(*day(1, 9, 10).labels, *day(1, 5, 10, None).labels))])
    assert point.ruled is not None and point.plain is not None
    assert (point.ruled.share, point.plain.share) == (0.9, 0.5)
    drawn = quality_chart([point], [VersionFlag(version=2, at=1.0), VersionFlag(version=3, at=50.0)]).text
    assert ">v2<" in drawn and "v3" not in drawn and "90% with rules, 50% without" in drawn


def test_days_without_labels_draw_nothing() -> None:
    """Requests alone say nothing about quality."""
    assert points_of([BookedDay(day=1, exchanges=500)]) == []


@given(st.floats(0, 1e9), st.floats(10, 1e6))
def test_evidence_stays_on_its_track(e_value: float, limit: float) -> None:
    """Between both ends, whatever its size."""
    places = re.findall(r'cx="([0-9.]+)%"', evidence_chart("x", e_value, limit).text)
    assert len(places) == 1 and 1.9 <= float(places[0]) <= 98.1


@pytest.mark.parametrize(("e_value", "tone"), [(0.2, "good"), (2.0, "other"), (50.0, "warn"), (1000.0, "bad")])
def test_the_colour_repeats_the_verdict(e_value: float, tone: str) -> None:
    """No difference in the middle, harm at its limit."""
    assert f'class="{tone}"' in evidence_chart("x", e_value, 1000.0).text


@given(st.lists(st.floats(0, 1e9), min_size=2, max_size=50), st.floats(10, 1e6))
def test_a_path_stays_between_fine_and_harm(e_values: list[float], limit: float) -> None:
    """Time goes to the right; the newest value is the mark at its end."""
    drawn = path_chart("bad replies", [(60.0 * look, e_value) for look, e_value in enumerate(e_values)], limit).text
    found = re.search(r'points="([^"]+)"', drawn)
    assert found is not None
    places = [tuple(map(float, place.split(","))) for place in found[1].split()]
    assert [x for x, _ in places] == sorted(x for x, _ in places) and len(places) == len(e_values)
    assert all(0 <= y <= 72 for _, y in places)
    assert f'cx="{places[-1][0]:g}"' in drawn.replace('.0"', '"') and "evidence of harm" in drawn


def test_harm_is_up_and_no_difference_in_the_middle() -> None:
    """On a scale in which twice the evidence is the same step everywhere."""
    places = [towards_harm(e_value, 100.0) for e_value in (0.0, 0.01, 1.0, 10.0, 100.0, 1e9)]
    assert places == pytest.approx([-1.0, -1.0, 0.0, 0.5, 1.0, 1.0])
