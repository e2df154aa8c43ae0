"""Both versions answer new requests before anybody labels them, and those they differ on wait for people."""

from pathlib import Path
from typing import Any

from gateway.store.base import Store
from optimizer.monitoring.shadow.telling import TELLING, TellingBook
from tests.fakes import Answer, FakeUpstream
from tests.learning import sums
from tests.test_optimizer_monitoring_shadow_paired_answers import KNOWING, decided, label, upstream, versions, work
from tests.traffic import NOW, TASK, exchange, live


async def test_requests_with_two_answers_wait_for_whoever_labels(store: Store, tmp_path: Path) -> None:
    """New ones outside of the audit sample, one of a conversation; their labels compare versions."""
    versions(store, decided("live", 1), decided("canary", 2, 0.25))
    TELLING.write(store, TellingBook(of="2 against 1", until=NOW - 50, people_at=NOW - 99), TASK)
    plain: dict[str, Any] = {"arm": "weak", "rules": 1, "audit_rate": 0.0}
    store.record([
        exchange(1, **plain), exchange(2, **plain, cluster="talk"), exchange(3, **plain, cluster="talk"),
        exchange(4, arm="weak", rules=1), exchange(5, **plain, created=NOW - 60),
    ])  # fmt: skip
    await work(store, tmp_path)
    book = TELLING.read(store, TASK)
    assert book is not None and (book.waiting, book.differed, book.agreed) == (("x1", "x2"), 2, 0)
    label(store, 2, "label")
    pairs = await work(store, tmp_path)
    book = TELLING.read(store, TASK)
    assert [(pair.unit, pair.difference, pair.at_random) for pair in pairs] == [("talk", -1, True)]
    assert book is not None and (book.waiting, book.labelled) == (("x1",), 1)


async def test_equal_answers_count_without_a_label_once_others_have_some(store: Store, tmp_path: Path) -> None:
    """Both versions are right, or both are wrong."""
    versions(store, decided("live", 1), decided("canary", 2, 0.25))
    TELLING.write(store, TellingBook(of="2 against 1", until=NOW - 50, people_at=NOW - 99), TASK)
    store.record([exchange(number, arm="weak", rules=1, audit_rate=0.0) for number in range(6)])

    def answer(body: dict[str, Any]) -> Answer:
        told = KNOWING in str(body["messages"]) and sums(0)[0] in str(body["messages"])
        return str(sums(0)[1]) if told else "7"

    answers = FakeUpstream(answer)
    await work(store, tmp_path, answers=answers)
    book = TELLING.read(store, TASK)
    assert book is not None and (book.waiting, book.agreed) == (("x0",), 5)
    label(store, 0, "label")
    (pair,) = await work(store, tmp_path, answers=answers)
    assert (pair.difference, pair.equal) == (-1, 5)


async def test_nobody_is_asked_where_nobody_labels(store: Store, tmp_path: Path) -> None:
    """No call is made for requests that would wait in vain."""
    calls: list[dict[str, Any]] = []
    versions(store, decided("live", 1), decided("canary", 2, 0.25))
    store.record([exchange(1, arm="weak", rules=1, audit_rate=0.0)])
    await work(store, tmp_path, answers=upstream(calls))
    assert calls == []


async def test_half_of_the_calls_of_a_day_are_left_for_labels(store: Store, tmp_path: Path) -> None:
    """``shadow.calls_per_day`` bounds both."""
    calls: list[dict[str, Any]] = []
    versions(store, decided("live", 1), decided("canary", 2, 0.25))
    TELLING.write(store, TellingBook(of="2 against 1", until=NOW - 50, people_at=NOW - 99), TASK)
    store.record([exchange(number, arm="weak", rules=1, audit_rate=0.0) for number in range(20)])
    few = live("shadow = { share = 1, calls_per_day = 12 }")
    await work(store, tmp_path, few, upstream(calls))
    assert len(calls) == 6
    for number in range(3):
        label(store, number, "label")
    assert len(await work(store, tmp_path, few, upstream(calls))) == 3


async def test_a_grader_that_cannot_compare_two_replies_is_not_asked(store: Store, tmp_path: Path) -> None:
    """Tests that a program must pass say nothing about two programs; a judge would be asked without a bound."""
    calls: list[dict[str, Any]] = []
    versions(store, decided("live", 1), decided("canary", 2, 0.25))
    TELLING.write(store, TellingBook(of="2 against 1", until=NOW - 50, people_at=NOW - 99), TASK)
    store.record([exchange(1, arm="weak", rules=1, audit_rate=0.0)])
    for grader in ('{ kind = "python_tests" }', '{ kind = "judge", model = "large", criteria = "Right?" }'):
        await work(store, tmp_path, live(grader=grader), upstream(calls))
    assert calls == []


async def test_a_conversation_counts_by_its_telling_request_or_by_its_labels(store: Store, tmp_path: Path) -> None:
    """Never by both: whichever came first; a model's label of a telling request is as good as a person's."""
    versions(store, decided("live", 1), decided("canary", 2, 0.25))
    TELLING.write(store, TellingBook(of="2 against 1", until=NOW - 50, people_at=NOW - 99), TASK)
    plain: dict[str, Any] = {"arm": "weak", "rules": 1}
    store.record([
        exchange(1, **plain, audit_rate=0.0, cluster="first"), exchange(2, **plain, cluster="first"),
        exchange(3, **plain, cluster="other"), exchange(4, **plain, audit_rate=0.0, cluster="other"),
    ])  # fmt: skip
    label(store, 3, "label")
    assert [pair.unit for pair in await work(store, tmp_path)] == ["other"]
    book = TELLING.read(store, TASK)
    assert book is not None and book.waiting == ("x1",)
    label(store, 2, "label")
    label(store, 1, "shadow")
    assert [(pair.unit, pair.by_model) for pair in await work(store, tmp_path)][1:] == [("first", True)]


async def test_a_request_chosen_for_an_earlier_comparison_says_nothing_in_this_one(
    store: Store, tmp_path: Path
) -> None:
    """Other versions answered it differently: it is no request at random."""
    versions(store, decided("live", 1), decided("canary", 2, 0.25))
    TELLING.write(store, TellingBook(of="1 against 0", until=NOW - 50, waiting=("x1",), differed=1), TASK)
    store.record([exchange(1, arm="weak", rules=1, audit_rate=0.0), exchange(2, arm="weak", rules=1)])
    label(store, 1, "label")
    label(store, 2, "label")
    assert [pair.unit for pair in await work(store, tmp_path)] == ["x2"]
