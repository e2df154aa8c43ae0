"""All limits of a gateway: claimed together or not at all."""

from collections.abc import Mapping

import pytest

from gateway.errors import RateLimited
from gateway.quotas.meter import NANO
from gateway.quotas.quotas import Quotas, Subject, limited_subjects
from gateway.settings.quotas import NO_LIMITS, Budget, Limits
from tests.fakes import CONFIG, settings

WALL = 1_798_761_600.0
SUBJECTS: Mapping[Subject, tuple[Limits, Budget | None]] = {
    ("key", "team"): (Limits(requests_per_minute=5), Budget(usd=1.0, per="day")),
    ("task", "sums"): (Limits(concurrent=1), None),
}


def quotas(clock: list[float] | None = None) -> Quotas:
    times = clock or [500.0, WALL]
    made = Quotas(lambda: times[0], lambda: times[1])
    made.configure(SUBJECTS)
    return made


def test_without_limits_there_is_nothing_to_ask() -> None:
    """Neither of a key nor of a task."""
    made = Quotas(lambda: 0.0, lambda: WALL)
    assert not made and made.of("team", "sums") == () and made.upstream("mock") == ()


def test_a_request_has_the_limits_of_its_key_and_of_its_task() -> None:
    """Of those that are limited."""
    made = quotas()
    names = [[meter.name for meter in made.of(key, task)] for key in ("team", None, "x") for task in ("sums", None)]
    assert names == [["team", "sums"], ["team"], ["sums"], [], ["sums"], []]


def test_a_refused_request_holds_nothing() -> None:
    """Not even of the limits that it passed."""
    made = quotas()
    claim = made.claim(made.of("team", "sums"), tokens=5, cost_usd=0.25)
    with pytest.raises(RateLimited, match="task 'sums': 1 requests at once"):
        made.claim(made.of("team", "sums"), cost_usd=0.25)
    (key,) = made.of("team", None)
    assert (key.in_flight, key.reserved) == (1, NANO // 4)
    assert dict(claim.headers())[b"x-ratelimit-remaining-requests"] == b"4"
    for _ in range(2):
        claim.settle(7, 0.5)
    assert (key.in_flight, key.reserved, key.spent) == (0, 0, NANO // 2)


def test_a_new_day_has_its_money_again() -> None:
    """Without a restart."""
    clock = [500.0, WALL]
    made = quotas(clock)
    made.claim(made.of("team", None), cost_usd=1.0).settle(0, 1.0)
    with pytest.raises(RateLimited):
        made.claim(made.of("team", None), cost_usd=0.1)
    clock[1] += 86_400
    made.claim(made.of("team", None), cost_usd=0.1).settle(0, 0.1)


def test_counts_outlive_a_change_of_the_limits() -> None:
    """A reload gives nobody a second minute; a limit that is gone is gone."""
    made = quotas()
    made.claim(made.of("team", None)).settle(0, None)
    made.configure({("key", "team"): (Limits(requests_per_minute=1), None)})
    with pytest.raises(RateLimited):
        made.claim(made.of("team", None))
    made.configure({})
    assert not made


def test_refusals_money_and_requests_under_way_are_metrics() -> None:
    """By kind and name."""
    made = quotas()
    made.claim(made.of("team", "sums"), cost_usd=0.25)
    with pytest.raises(RateLimited):
        made.claim(made.of(None, "sums"))
    values = {
        (sample.name, *sample.labels.values()): sample.value for metric in made.collect() for sample in metric.samples
    }
    assert values == {
        ("preceptor_quota_refused_total", "task", "sums", "concurrent"): 1,
        ("preceptor_quota_in_flight", "key", "team"): 1,
        ("preceptor_quota_in_flight", "task", "sums"): 1,
        ("preceptor_budget_spent_usd", "key", "team"): 0.25,
        ("preceptor_budget_reserved_usd", "key", "team"): 0.25,
    }


def test_only_what_is_limited_is_counted() -> None:
    """Keys, tasks and upstreams."""
    made = settings(
        CONFIG.replace("[models.small]", "limits = { concurrent = 2 }\n[models.small]", 1)
        + '[tasks.words]\nweak = "small"\nstrong = "large"\nbudget = { usd = 5 }\n'
    )
    subjects = limited_subjects(made, {"a": (NO_LIMITS, None), "b": (Limits(concurrent=1), None)})
    assert set(subjects) == {("key", "b"), ("task", "words"), ("upstream", "mock")}
