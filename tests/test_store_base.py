"""What every store promises: the same specification, run against each implementation."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.domain import (
    Activation,
    Evidence,
    Exchange,
    Feedback,
    Measured,
    Rule,
    RuleSet,
    ToolCall,
    TrafficSplit,
    Usage,
)
from gateway.errors import Conflict, NotFound
from gateway.routing.conversation import tenant_digest
from gateway.store.base import MAX_FEEDBACK, MAX_FEEDBACK_OF_ALL, Audited, Disputed, Graded, Store, TaskCounts
from gateway.store.selection import PAGE_BYTES, Address, Selection
from gateway.teaching import Example


def exchange(id_: str, **changes: Any) -> Exchange:
    plain = Exchange(
        id=id_,
        created=1.0,
        task="sums",
        client_model="gpt-4o-mini",
        model="small",
        arm="weak",
        rules=None,
        stream=False,
        status="ok",
        http_status=200,
        reply="4",
    )
    return msgspec.structs.replace(plain, **changes)


def feedback(id_: str, **changes: Any) -> Feedback:
    return msgspec.structs.replace(Feedback(exchange_id=id_, created=2.0, correct=False), **changes)


FULL = exchange(
    "full",
    created=1_700_000_000.123456,
    rules=3,
    stream=True,
    status="abandoned",
    error="the client hung up",
    request='{"model":"gpt-4o-mini","messages":"é"}'.encode(),
    reply="four ☃",
    finish_reason="stop",
    usage=Usage(prompt_tokens=10, output_tokens=4),
    latency_ms=12.5,
    first_byte_ms=3.25,
    key="team-a",
    ref="order-17",
    tenant="0123456789abcdef",
    cluster="00ff00ff00ff00ff",
    cost_usd=0.0125,
    audit_rate=0.02,
)

RULES = RuleSet(
    task="sums",
    scratchpad="two_pass",
    rules=(Rule(text="Write out the working.", reason="It guessed."), Rule(text="Check the sign.")),
    parent=None,
    evidence=Evidence(
        verdict="better",
        before=Measured(accuracy=0.17, n=24, output_tokens=4.0),
        after=Measured(accuracy=0.79, n=24, output_tokens=188.0, latency_s=1.1),
        fixed=15,
        broken=0,
        items_used=24,
        p_value=3.05e-05,
        interval=(0.41, 0.83),
        note="é",
    ),
    created=1_700_000_000.5,
    decided_by="cycle",
)


@pytest.mark.parametrize("recorded", [exchange("plain", task=None), FULL], ids=["plain", "full"])
def test_an_exchange_comes_back_as_it_was_recorded(store: Store, recorded: Exchange) -> None:
    """Every field survives, those left out as well as those filled in."""
    store.record([recorded])
    assert store.exchange(recorded.id) == recorded


@pytest.mark.parametrize("rows", [49, 50, 51, 130])
def test_a_batch_comes_back_whole(store: Store, rows: int) -> None:
    """Whatever its length: a store may write many rows with a statement. A known id in its midst is skipped."""
    store.record([exchange("7", reply="first")])
    batch = [msgspec.structs.replace(FULL, id=str(number), created=float(number)) for number in range(rows)]
    store.record(batch)
    came_back = [store.exchange(one.id) for one in batch]
    assert came_back[:7] + came_back[8:] == batch[:7] + batch[8:]
    assert came_back[7] == exchange("7", reply="first")


def test_an_unknown_exchange_is_none(store: Store) -> None:
    """Looking for an id that was never recorded is no error."""
    assert store.exchange("nowhere") is None


def test_an_empty_batch_is_no_error(store: Store) -> None:
    """Recording nothing does nothing."""
    store.record([])
    assert store.counts() == {}


def test_a_known_id_is_skipped(store: Store) -> None:
    """A batch may be recorded again, whole or in part: the first record of an id stands."""
    store.record([exchange("a", reply="first")])
    store.record([exchange("a", reply="second"), exchange("b"), exchange("b", reply="twice in one batch")])
    assert store.exchange("a") == exchange("a", reply="first")
    assert store.exchange("b") == exchange("b")


def test_feedback_on_an_unknown_exchange_is_refused(store: Store) -> None:
    """It says False, and the feedback does not turn up when the exchange comes later."""
    assert store.add_feedback(feedback("a")) is False
    store.record([exchange("a")])
    assert store.graded("sums", limit=10) == []


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(-1e300, 1e300)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(expected=JSON, score=st.none() | st.floats(0, 1), comment=st.none() | st.just("a\x00b"), id_=st.uuids().map(str))
def test_feedback_comes_back_as_it_was_given(
    store: Store, expected: Any, score: float | None, comment: str | None, id_: str
) -> None:
    """Any JSON value within the bounds may be the expected answer."""
    given_ = feedback(id_, expected=expected, score=score, comment=comment)
    store.record([exchange(id_, task=id_)])
    assert store.add_feedback(given_) is True
    assert store.graded(id_, limit=1) == [Graded(exchange=exchange(id_, task=id_), feedback=given_)]


def test_graded_is_newest_first_and_limited(store: Store) -> None:
    """In the order of recording; beyond the limit the exchanges stay out whose feedback came first."""
    store.record([exchange("a", created=1.0), exchange("b", created=3.0), exchange("c", created=2.0)])
    for id_ in ("b", "c", "a"):
        store.add_feedback(feedback(id_))
    assert [graded.exchange.id for graded in store.graded("sums", limit=9)] == ["c", "b", "a"]
    assert [graded.exchange.id for graded in store.graded("sums", limit=2)] == ["c", "a"]


def test_readers_leave_the_largest_out_where_memory_is_short(store: Store) -> None:
    """Requests and replies together; without a bound everything comes."""
    sizes = {"a": 10, "huge": 1000, "b": 20, "c": 10}
    store.record([exchange(id_, request=b"{}" + b" " * size, audit_rate=1.0) for id_, size in sizes.items()])
    for id_ in sizes:
        store.add_feedback(feedback(id_))
    for most, ids in (
        (None, ["c", "b", "huge", "a"]),
        (2000, ["c", "b", "huge", "a"]),
        (60, ["c", "b", "a"]),
        (30, "ca"),
    ):
        assert [entry.exchange.id for entry in store.graded("sums", limit=9, max_bytes=most)] == list(ids)
        audited = store.audited("sums", since=0.0, limit=9, max_bytes=most)
        assert [entry.exchange.id for entry in audited] == list(ids)
        assert all(entry.feedback for entry in audited)


def test_graded_holds_the_latest_feedback_once(store: Store) -> None:
    """Of several feedbacks the last to arrive counts, whatever the clock said."""
    store.record([exchange("a"), exchange("b")])
    for id_, created, comment in [("a", 5.0, "first"), ("a", 4.0, "last"), ("b", 4.0, "first"), ("b", 4.0, "second")]:
        store.add_feedback(feedback(id_, created=created, comment=comment))
    assert [graded.feedback.comment for graded in store.graded("sums", limit=10)] == ["second", "last"]


YEAR_S = 365 * 86_400.0


@pytest.mark.parametrize("jump", [YEAR_S, -YEAR_S], ids=["forward", "back"])
def test_a_clock_that_jumps_hides_no_exchange(store: Store, jump: float) -> None:
    """Five exchanges are dated a year off; every reader sees them among their neighbours, and the later ones too."""
    now = 2 * YEAR_S
    for number in range(15):
        off = jump if 5 <= number < 10 else 0.0
        store.record([exchange(f"x{number:02}", created=now + number + off, audit_rate=1.0)])
        store.add_feedback(feedback(f"x{number:02}", created=now + number + off))
    ids = [f"x{number:02}" for number in range(15)]
    assert [one.id for one in store.observed("sums", since=now, limit=20)] == ids
    assert [one.exchange.id for one in store.audited("sums", since=now, limit=20)] == ids[::-1]
    for limit in (4, 12):
        assert [one.id for one in store.observed("sums", since=now, limit=limit)] == ids[-limit:]
        assert [one.exchange.id for one in store.audited("sums", since=now, limit=limit)] == ids[::-1][:limit]
        assert [one.exchange.id for one in store.graded("sums", limit=limit)] == ids[::-1][:limit]
        assert [one.id for one in store.answered("sums", arm="weak", limit=limit)] == ids[::-1][:limit]
    assert [one.id for one in store.recorded(0, limit=20)[0]] == ids


def test_graded_leaves_out_what_nothing_can_be_learnt_from(store: Store) -> None:
    """Errors, abandoned replies, other tasks and exchanges without feedback do not count."""
    store.record(
        [
            exchange("good"),
            exchange("error", status="error"),
            exchange("abandoned", status="abandoned"),
            exchange("other", task="other"),
            exchange("none", task=None),
            exchange("silent"),
        ]
    )
    for id_ in ("good", "error", "abandoned", "other", "none"):
        assert store.add_feedback(feedback(id_))
    assert [graded.exchange.id for graded in store.graded("sums", limit=10)] == ["good"]


def test_the_answers_of_an_arm_are_newest_first_and_whole(store: Store) -> None:
    """With or without feedback; other tasks, other arms and what did not end well are left out."""
    store.record(
        [
            exchange("old", arm="strong", created=1.0),
            exchange("middle", arm="strong", created=2.0),
            exchange("new", arm="strong", created=3.0, reply="4"),
            exchange("weak"),
            exchange("failed", arm="strong", status="error"),
            exchange("other", arm="strong", task="other"),
        ]
    )
    assert store.answered("sums", arm="strong", limit=2) == [
        exchange("new", arm="strong", created=3.0, reply="4"),
        exchange("middle", arm="strong", created=2.0),
    ]


def test_counts_per_task(store: Store) -> None:
    """Exchanges, errors, feedback and output tokens add up per task; what has no task is in no count."""
    used = Usage(prompt_tokens=5, output_tokens=7)
    store.record(
        [
            exchange("a", created=5.0, usage=used),
            exchange("b", created=9.0, usage=used, status="error"),
            exchange("c", created=7.0, status="abandoned"),
            exchange("d", task="other"),
            exchange("e", task=None),
        ]
    )
    for id_ in ("a", "a", "b", "e"):
        store.add_feedback(feedback(id_))
    assert store.counts() == {
        "sums": TaskCounts(exchanges=3, errors=1, feedback=3, output_tokens=14, first_seen=5.0, last_seen=9.0),
        "other": TaskCounts(exchanges=1, first_seen=1.0, last_seen=1.0),
    }


def test_a_shadow_counts_for_nothing(store: Store) -> None:
    """No client asked for it; what it found out about an exchange of a client's counts as feedback on that one."""
    used = Usage(prompt_tokens=5, output_tokens=7)
    store.record([exchange("a", created=5.0), exchange("s", arm="shadow", created=9.0, usage=used)])
    store.record([exchange("t", arm="shadow", task="other")])
    for id_ in ("a", "s", "t"):
        store.add_feedback(feedback(id_, source="shadow"))
    assert store.counts() == {"sums": TaskCounts(exchanges=1, feedback=1, first_seen=5.0, last_seen=5.0)}


def test_publishing_numbers_the_versions_of_each_task(store: Store) -> None:
    """1, 2, ... per task, whatever version the argument had; nothing goes live by it."""
    other = msgspec.structs.replace(RULES, task="other", version=7)
    versions = [store.publish(rule_set).version for rule_set in (RULES, RULES, other)]
    assert versions == [1, 2, 1]
    assert store.active() == {}
    assert store.revision() == 0


@pytest.mark.parametrize("rule_set", [RULES, RuleSet(task="sums")], ids=["full", "empty"])
def test_a_rule_set_comes_back_as_it_was_published(store: Store, rule_set: RuleSet) -> None:
    """An equal value with an equal hash, by whichever way it is read."""
    published = store.publish(rule_set)
    assert published == msgspec.structs.replace(rule_set, version=1)
    store.activate(Activation(task="sums", version=1, created=1.0, by="test"))
    assert store.rule_set("sums", 1) == published
    assert store.rule_sets("sums") == [published]
    assert store.active() == {"sums": published}
    assert store.active()["sums"].hash == rule_set.hash


def test_unknown_rule_sets_are_none(store: Store) -> None:
    """Neither version 0 nor a later one exists, and a task without rule sets has an empty list."""
    store.publish(RULES)
    assert [store.rule_set("sums", version) for version in (-1, 0, 2)] == [None, None, None]
    assert store.rule_sets("other") == []


def test_activating_a_version_that_is_not_there_changes_nothing(store: Store) -> None:
    """NotFound, and neither history nor revision knows of it."""
    store.publish(RULES)
    for task, version in (("sums", 2), ("other", 1)):
        with pytest.raises(NotFound):
            store.activate(Activation(task=task, version=version, created=1.0, by="test"))
    assert store.history("sums") == []
    assert store.revision() == 0


def test_the_last_activation_decides(store: Store) -> None:
    """Forward, back, to no rules: active follows, history keeps all of it, revision grows each time."""
    store.publish(RULES)
    store.publish(RULES)
    seen, revisions = [], [store.revision()]
    moves = [1, 2, 1, None]
    for number, version in enumerate(moves):
        store.activate(Activation(task="sums", version=version, created=float(number), by="test", why="because"))
        seen.append([rule_set.version for rule_set in store.active().values()])
        revisions.append(store.revision())
    assert seen == [[1], [2], [1], []]
    assert store.history("sums") == [
        Activation(task="sums", version=version, created=float(number), by="test", why="because")
        for number, version in enumerate(moves)
    ]
    assert revisions == sorted(set(revisions))


def test_tasks_are_activated_apart(store: Store) -> None:
    """One task's activation leaves the other's alone."""
    other = msgspec.structs.replace(RULES, task="other")
    store.publish(RULES)
    store.publish(other)
    store.activate(Activation(task="sums", version=1, created=1.0, by="test"))
    store.activate(Activation(task="other", version=1, created=2.0, by="test"))
    store.activate(Activation(task="sums", version=None, created=3.0, by="test"))
    assert list(store.active()) == ["other"]
    assert [activation.created for activation in store.history("other")] == [2.0]


def test_a_cycle_is_open_until_it_ends(store: Store) -> None:
    """It comes back with its plan, and with its outcome in place of it once it has ended."""
    begun = store.begin_cycle("sums", 1.0, msgspec.Raw(b'{"items":3}'))
    assert (begun.task, begun.started, begun.plan, begun.ended) == ("sums", 1.0, b'{"items":3}', None)
    assert store.open_cycle("sums") == begun
    store.end_cycle(begun.id, 2.0, b'{"verdict":"better"}')
    assert store.open_cycle("sums") is None
    (ended,) = store.cycles("sums", limit=5)
    assert ended == msgspec.structs.replace(begun, ended=2.0, outcome=b'{"verdict":"better"}', plan=b"{}")


def test_cycles_are_newest_first_and_per_task(store: Store) -> None:
    """The newest open one is found, past newer ones that have ended and past other tasks."""
    first, second, third = (store.begin_cycle("sums", float(number), b"{}") for number in range(3))
    store.begin_cycle("other", 9.0, b"{}")
    store.end_cycle(third.id, 10.0, b"{}")
    assert store.open_cycle("sums") == second
    assert [cycle.id for cycle in store.cycles("sums", limit=2)] == [third.id, second.id]
    assert [cycle.id for cycle in store.cycles("sums", limit=9)] == [third.id, second.id, first.id]


def test_the_first_end_of_a_cycle_stands(store: Store) -> None:
    """Two gateways may lead for a moment."""
    begun = store.begin_cycle("sums", 1.0, b"{}")
    store.end_cycle(begun.id, 2.0, b'{"verdict":"better"}')
    store.end_cycle(begun.id, 3.0, b'{"verdict":"worse"}')
    (ended,) = store.cycles("sums", limit=5)
    assert (ended.ended, ended.outcome) == (2.0, b'{"verdict":"better"}')


def test_ending_an_unknown_cycle_is_an_error(store: Store) -> None:
    """NotFound rather than silence."""
    with pytest.raises(NotFound):
        store.end_cycle(1, 2.0, b"{}")


def test_the_tool_calls_of_a_reply_survive(store: Store) -> None:
    """In order, arguments as they came."""
    called = exchange("a", tool_calls=(ToolCall(name="add", arguments='{"a":1'), ToolCall(name="é", arguments="")))
    store.record([called])
    assert store.exchange("a") == called


def test_a_client_s_word_counts_before_a_shadow_s_and_that_before_an_outcome_s(store: Store) -> None:
    """Whatever came later; among a client's own, the newest counts."""
    store.record([exchange("a")])
    for said in (
        feedback("a", created=9.0, source="outcome"),
        feedback("a", created=8.0, source="shadow", expected=4),
        feedback("a", created=3.0, correct=True),
        feedback("a", created=2.0, correct=False),
    ):
        assert store.add_feedback(said)
        assert store.graded("sums", limit=10)[0].feedback == said
    assert store.add_feedback(feedback("a", created=9.0, source="outcome"))
    assert store.graded("sums", limit=10)[0].feedback == feedback("a", created=2.0, correct=False)


@pytest.mark.parametrize("source", ["shadow", "outcome"])
def test_what_is_found_twice_counts_once(store: Store, source: Any) -> None:
    """A look at traffic may be repeated: the first finding stands."""
    store.record([exchange("a")])
    assert store.add_feedback(feedback("a", source=source, comment="first"))
    assert store.add_feedback(feedback("a", source=source, comment="second", created=5.0))
    assert [one.feedback.comment for one in store.graded("sums", limit=10)] == ["first"]
    assert store.counts()["sums"].feedback == 1


def test_a_flood_of_feedback_for_one_exchange_is_stopped(store: Store) -> None:
    """So much and no more; what was acknowledged stays."""
    store.record([exchange("a"), exchange("b")])
    for _ in range(MAX_FEEDBACK):
        assert store.add_feedback(feedback("a"))
    with pytest.raises(Conflict):
        store.add_feedback(feedback("a"))
    assert store.add_feedback(feedback("b"))
    assert store.counts()["sums"].feedback == MAX_FEEDBACK + 1


def test_recorded_exchanges_are_read_on_from_a_position(store: Store) -> None:
    """In the order of recording, whatever their times and tasks; nothing twice, nothing left out."""
    store.record([exchange("late", created=9.0), exchange("early", created=1.0, task=None)])
    found, position = store.recorded(0, limit=1)
    assert [one.id for one in found] == ["late"]
    store.record([exchange("late"), exchange("next")])
    found, position = store.recorded(position, limit=10)
    assert [one.id for one in found] == ["early", "next"]
    assert store.recorded(position, limit=10) == ([], position)


def test_a_page_ends_before_it_is_too_large(store: Store) -> None:
    """Exchanges of megabytes come one by one, and none is left out; judgements of them, too."""
    half = "x" * (PAGE_BYTES // 2)
    store.record([exchange(id_, reply=reply) for id_, reply in (("a", half), ("b", 3 * half), ("c", ""), ("d", half))])
    pages, position = list[list[str]](), 0
    for _ in range(4):
        found, position = store.recorded(position, limit=9)
        pages.append([one.id for one in found])
    assert pages == [["a"], ["b"], ["c", "d"], []]
    for id_ in "abcd":
        store.add_feedback(Feedback(exchange_id=id_, created=1.0, expected=5))
    assert [graded.exchange.id for graded in store.ungraded(limit=9)] == ["a"]


def test_observed_are_the_newest_oldest_first(store: Store) -> None:
    """Since a time, of one task, each with what is known of its worth."""
    store.record([exchange(f"x{number}", created=float(number)) for number in range(5)])
    store.record([exchange("other", task="other", created=4.0)])
    store.add_feedback(feedback("x4", source="outcome", comment="empty"))
    store.add_feedback(feedback("x3", correct=None, score=0.75))
    found = store.observed("sums", since=1.0, limit=3)
    assert [one.id for one in found] == ["x2", "x3", "x4"]
    assert [(one.correct, one.source, one.signals) for one in found] == [
        (None, None, ""), (True, "client", ""), (False, "outcome", "empty")
    ]  # fmt: skip
    assert store.observed("sums", since=9.0, limit=3) == []


def test_what_is_forgotten_is_gone_with_its_feedback(store: Store) -> None:
    """Oldest first and no more than asked for, of every task and of none; younger ones stay as they are."""
    store.record([exchange("b", created=2.0), exchange("a", created=1.0, task=None), exchange("c", created=3.0)])
    store.record([exchange("late", created=2.5, task="other"), exchange("last", created=9.0)])
    for id_ in ("b", "c"):
        store.add_feedback(feedback(id_))
    assert store.forget(3.0, limit=2) == 2
    assert [one.id for one in store.recorded(0, limit=9)[0]] == ["c", "late", "last"]
    assert [one.exchange.id for one in store.graded("sums", limit=9)] == ["c"]
    assert not store.add_feedback(feedback("b"))
    assert store.forget(3.0, limit=2) == 1
    assert store.forget(3.0, limit=2) == 0
    assert {task: counts.exchanges for task, counts in store.counts().items()} == {"sums": 2}


def test_counts_are_of_what_is_there(store: Store) -> None:
    """Neither what was recorded twice nor what was forgotten; a task of which nothing is left is none."""
    used = Usage(prompt_tokens=5, output_tokens=7)
    store.record([exchange("a", created=1.0, usage=used, status="error"), exchange("b", created=2.0, task="gone")])
    store.record([exchange("s", created=3.0, arm="shadow", usage=used), exchange("c", created=4.0, usage=used)])
    store.record([exchange("c", created=4.0, usage=used), exchange("d", created=5.0)])
    assert store.counts()["sums"] == TaskCounts(exchanges=3, errors=1, output_tokens=14, first_seen=1.0, last_seen=5.0)
    assert store.forget(3.5, limit=9) == 3
    assert store.counts() == {"sums": TaskCounts(exchanges=2, output_tokens=7, first_seen=4.0, last_seen=5.0)}
    store.record([exchange("e", created=9.0, task="gone"), exchange("f", created=10.0, task="last")])
    assert store.counts()["gone"] == TaskCounts(exchanges=1, first_seen=9.0, last_seen=9.0)


def test_clients_do_not_know_of_shadows(store: Store) -> None:
    """Whoever guesses the id of one is told that there is none."""
    store.record([exchange("s", arm="shadow")])
    assert store.add_feedback(feedback("s")) is False
    assert store.add_feedback(feedback("s", source="shadow")) is True


def test_forgetting_moves_no_position(store: Store) -> None:
    """A reader goes on where it was, also when all that it read is gone: of the last exchange an empty row stays."""
    store.record([exchange(f"x{number}", created=float(number), request=NAMED) for number in range(3)])
    store.add_feedback(feedback("x2", expected="secret"))
    _, middle = store.recorded(0, limit=2)
    _, end = store.recorded(0, limit=9)
    assert store.forget(9.0, limit=9) == 2
    assert store.recorded(middle, limit=9)[0] == [exchange("x2", created=2.0, request=b"{}", reply=None)]
    assert store.graded("sums", limit=9) == []
    with pytest.raises(Conflict):
        store.add_feedback(feedback("x2"))
    store.record([exchange("new", created=10.0)])
    assert [one.id for one in store.recorded(end, limit=9)[0]] == ["new"]
    assert store.forget(9.0, limit=9) == 1


def test_what_waits_for_the_grader_is_oldest_first_and_of_every_task(store: Store) -> None:
    """Expected answers of people, also beside a yes or no: only the verdict shows a contradiction."""
    store.record([exchange("a"), exchange("b", task="other", created=3.0), exchange("c")])
    waiting = [
        feedback("a", created=9.0, correct=None, expected=5),
        feedback("b", correct=None, expected={"x": [1]}),
        feedback("c", correct=True, expected=5, source="label"),
    ]
    for given_ in (*waiting, feedback("c"), feedback("c", expected=5, source="shadow")):
        assert store.add_feedback(given_)
    assert [graded.feedback for graded in store.ungraded(limit=2)] == waiting[:2]
    assert [graded.feedback for graded in store.ungraded(limit=9)] == waiting
    assert store.ungraded(limit=9)[1].exchange == exchange("b", task="other", created=3.0)


@pytest.mark.parametrize(("verdict", "correct"), [(1.0, True), (0.25, False), (None, None)])
def test_a_verdict_is_stored_beside_the_feedback(store: Store, verdict: float | None, correct: bool | None) -> None:
    """With its time, for every judgement with that expected answer; and nothing waits for the grader twice."""
    store.record([exchange("a"), exchange("b")])
    given_ = feedback("a", correct=None, expected={"x": 5.5})
    for other in (feedback("a", correct=None, expected=6), feedback("a", created=3.0, expected={"x": 5.5}), given_):
        store.add_feedback(other)
    store.add_feedback(feedback("b", correct=None, expected={"x": 5.5}))
    assert store.put_verdict(given_, verdict, at=7.0)
    assert [graded.feedback.expected for graded in store.ungraded(limit=9)] == [6, {"x": 5.5}]
    (whole,) = (one for one in store.graded("sums", limit=9) if one.exchange.id == "a")
    assert (whole.feedback.verdict, whole.feedback.verdict_at) == (verdict, 7.0)
    assert msgspec.structs.replace(given_, verdict=verdict, verdict_at=7.0).is_correct == correct
    assert not store.put_verdict(feedback("gone", expected=1), 1.0, at=7.0)
    assert not store.put_verdict(feedback("a"), 1.0, at=7.0)


def test_a_verdict_is_what_is_observed_of_a_mere_correction(store: Store) -> None:
    """A client that says only what would have been right is heard as one that says wrong."""
    facts = {"cluster": "c1", "key": "team-a", "tenant": "t1", "cost_usd": 0.5, "audit_rate": 0.1}
    store.record([exchange("a", **facts)])
    store.add_feedback(feedback("a", correct=None, expected=5, key="team-b", labeller="ann"))
    (before,) = store.observed("sums", since=0.0, limit=9)
    store.put_verdict(feedback("a", correct=None, expected=5), 0.0, at=3.0)
    (after,) = store.observed("sums", since=0.0, limit=9)
    assert (before.correct, after.correct, after.source) == (None, False, "client")
    assert {name: getattr(after, name) for name in facts} == facts


def test_judgements_come_in_the_order_of_arrival_each_exchange_once_of_a_kind(store: Store) -> None:
    """A second word of a client counts no more; a label does, whatever a client said before. Outcomes are no word."""
    store.record([exchange("a"), exchange("b", cluster="c1"), exchange("other", task="other")])
    store.add_feedback(feedback("b", source="outcome", comment="refusal"))
    store.add_feedback(feedback("b"))
    store.add_feedback(feedback("a", correct=True))
    store.add_feedback(feedback("b", correct=True))
    store.add_feedback(feedback("other"))
    store.add_feedback(feedback("b", correct=True, source="label"))
    first, position = store.judged("sums", None, limit=2)
    rest, end = store.judged("sums", 0, limit=9)
    assert [entry.feedback.source for entry in rest] == ["client", "client", "label"]
    assert [(entry.exchange.id, entry.exchange.correct) for entry in rest] == [("b", False), ("a", True), ("b", True)]
    assert [(entry.exchange.cluster, entry.exchange.signals) for entry in rest] == [
        ("c1", "refusal"), (None, ""), ("c1", "refusal"),
    ]  # fmt: skip
    assert first == rest[-1:] and position == end
    assert store.judged("sums", end, limit=9) == ([], end)
    assert store.judged("nobody", None, limit=9)[0] == []
    store.add_feedback(feedback("other", source="label"))
    assert store.judged("sums", end, limit=9) == ([], end + 1)
    step, middle = store.judged("sums", 0, limit=1)
    assert (step, store.judged("sums", middle, limit=9)[0]) == (rest[:1], rest[1:])


def test_judgements_end_before_the_first_that_waits_for_the_grader(store: Store) -> None:
    """So none is passed over; where the grader cannot say, it is."""
    store.record([exchange("a"), exchange("b"), exchange("c")])
    open_ = feedback("a", correct=None, expected=4)
    store.add_feedback(open_)
    store.add_feedback(feedback("b"))
    assert store.judged("sums", 0, limit=9) == ([], 0)
    store.put_verdict(open_, 1.0, at=3.0)
    judged, end = store.judged("sums", 0, limit=9)
    assert [(entry.exchange.id, entry.exchange.correct) for entry in judged] == [("a", True), ("b", False)]
    unclear = feedback("c", correct=None, expected=5)
    store.add_feedback(unclear)
    store.put_verdict(unclear, None, at=3.0)
    assert store.judged("sums", end, limit=9) == ([], end + 1)


def test_signs_of_failure_are_seen_whatever_else_is_known(store: Store) -> None:
    """A client that says "right" hides no refusal."""
    store.record([exchange("a")])
    store.add_feedback(feedback("a", source="outcome", comment="refusal,empty"))
    store.add_feedback(feedback("a", correct=True))
    (row,) = store.observed("sums", since=0, limit=9)
    assert (row.correct, row.source, row.signals) == (True, "client", "refusal,empty")


def test_a_label_counts_before_everything_else(store: Store) -> None:
    """It was asked for whatever the outcome was; what others said of the exchange is kept."""
    store.record([exchange("a", audit_rate=1.0)])
    given_ = [
        feedback("a", created=3.0, correct=True, source="label", labeller="ann"),
        feedback("a", created=4.0, correct=False, source="label", labeller="bob"),
        feedback("a", created=9.0, correct=True, key="team-a"),
    ]
    for judgement in given_:
        assert store.add_feedback(judgement)
    assert store.graded("sums", limit=9)[0].feedback == given_[1]
    (audited,) = store.audited("sums", since=0.0, limit=9)
    assert audited == Audited(exchange=exchange("a", audit_rate=1.0), feedback=tuple(given_))


def test_the_audit_sample_comes_back_newest_first_labelled_or_not(store: Store) -> None:
    """Whatever the status; what was not drawn, other tasks, and what arrived before stay out."""
    drawn = [exchange(f"x{number}", created=float(number), audit_rate=0.5) for number in range(4)]
    store.record([*drawn, exchange("not drawn", created=3.0), exchange("other", task="other", audit_rate=0.5)])
    failed = exchange("failed", created=9.0, status="error", audit_rate=0.5)
    store.record([failed])
    store.add_feedback(feedback("x2"))
    assert [one.exchange for one in store.audited("sums", since=1.0, limit=3)] == [failed, drawn[3], drawn[2]]
    assert [len(one.feedback) for one in store.audited("sums", since=1.0, limit=9)] == [0, 0, 1, 0]


def test_an_audited_request_comes_with_its_background_answer(store: Store) -> None:
    """The draw is of the request: a verdict on the other model's answer labels it as well. Without one it has none."""
    drawn = [exchange(id_, created=2.0, audit_rate=0.5) for id_ in ("a", "b", "c")]
    answers = [exchange(f"shadow-{id_}", created=3.0, arm="shadow", model="large") for id_ in ("a", "b", "unaudited")]
    store.record([*drawn, *answers])
    verdicts = [feedback(f"shadow-{id_}", source="shadow", expected=4) for id_ in ("a", "unaudited")]
    for verdict in verdicts:
        assert store.add_feedback(verdict)
    known = {entry.exchange.id: entry for entry in store.audited("sums", since=0.0, limit=9)}
    assert sorted(known) == ["a", "b", "c"] and not any(entry.feedback for entry in known.values())
    assert known["a"].shadow == Graded(exchange=answers[0], feedback=verdicts[0])
    assert known["b"].shadow is None and known["c"].shadow is None


def test_contradictory_judgements_are_shown(store: Store) -> None:
    """Of two people, and of one with itself; a shadow or an outcome contradicts nobody."""
    store.record([exchange(id_) for id_ in ("two", "itself", "agreed", "machine")])
    two = [feedback("two", correct=True, key="a"), feedback("two", correct=False, key="b", source="label")]
    itself = feedback("itself", correct=True, expected=5)
    for given_ in (
        *two, itself,
        feedback("agreed", correct=False), feedback("agreed", correct=None, score=0.2),
        feedback("machine", correct=True), feedback("machine", correct=False, source="outcome"),
    ):  # fmt: skip
        assert store.add_feedback(given_)
    assert store.disputed("sums", limit=9) == [Disputed(exchange_id="two", feedback=tuple(two))]
    store.put_verdict(itself, 0.0, at=3.0)
    assert [one.exchange_id for one in store.disputed("sums", limit=9)] == ["itself", "two"]
    assert [one.exchange_id for one in store.disputed("sums", limit=1)] == ["itself"]
    assert store.disputed("other", limit=9) == []


def test_an_exchange_is_found_by_id_or_by_the_client_s_own_name(store: Store) -> None:
    """By its own key; of several with one name the newest; never a shadow."""
    store.record([
        exchange("a", key="team-a", ref="r"), exchange("b", key="team-b", ref="r"),
        exchange("a2", key="team-a", ref="r"), exchange("free", ref="free"),
        exchange("shadow-a", key="team-a", arm="shadow", ref="r"),
    ])  # fmt: skip
    assert store.find(Address(id="a", key="team-a")) == "a"
    assert store.find(Address(id="a", key="team-b")) is store.find(Address(id="a")) is None
    assert store.find(Address(id="a", key="team-b", any_key=True)) == "a"
    assert store.find(Address(ref="r", key="team-a")) == "a2"
    assert store.find(Address(ref="r", key="team-b")) == "b"
    assert store.find(Address(ref="free", key="team-b")) == "free"
    assert store.find(Address(id="shadow-a", key="team-a")) is None
    assert store.find(Address(ref="x")) is store.find(Address(id="x")) is store.find(Address()) is None


def test_senders_are_counted_apart(store: Store) -> None:
    """A key or a labeller that floods an exchange leaves room for others, up to a bound for all of them."""
    store.record([exchange("a")])
    for _ in range(MAX_FEEDBACK):
        store.add_feedback(feedback("a", key="noisy"))
    with pytest.raises(Conflict):
        store.add_feedback(feedback("a", key="noisy"))
    assert store.add_feedback(feedback("a", key="noisy", labeller="ann"))
    assert store.add_feedback(feedback("a", key="calm"))
    for number in range(MAX_FEEDBACK_OF_ALL - MAX_FEEDBACK - 2):
        store.add_feedback(feedback("a", labeller=f"l{number}"))
    with pytest.raises(Conflict):
        store.add_feedback(feedback("a", key="another"))


NAMED = b'{"messages":[],"user":"ann"}'


def test_exchanges_are_selected_by_id_key_or_end_user(store: Store) -> None:
    """Also where an earlier version recorded no tenant, however the name was written; in pages."""
    store.record([
        exchange("by id"), exchange("by key", key="team-a"), exchange("by tenant", tenant=tenant_digest(["ann"])),
        exchange("old", request=NAMED), exchange("old too", request=b'{"user":"\\u00e9"}'),
        exchange("said", request=b'{"messages":[{"content":"ann"}],"user":"bob"}'), exchange("other"),
    ])  # fmt: skip

    def selected(**chosen: Any) -> list[str]:
        ids: list[str] = []
        after = 0
        while True:
            page, position = store.select(Selection(**chosen), after, limit=1)
            ids += [one.id for one in page]
            if position == after:
                return ids
            after = position

    assert selected(ids=frozenset({"by id", "nowhere"})) == ["by id"]
    assert selected(key="team-a") == ["by key"]
    assert selected(user="ann") == ["by tenant", "old"]
    assert selected(user="é") == ["old too"]
    assert selected(user="ann", key="team-a") == ["by key", "by tenant", "old"]
    assert selected(user="nobody") == selected() == []


def test_what_is_deleted_is_gone_with_feedback_and_shadow(store: Store) -> None:
    """Of the exchange recorded last an empty row stays, so that no position is given twice."""
    private = {"request": NAMED, "reply": "secret", "key": "k", "ref": "r", "tenant": "t", "cluster": "c"}
    store.record([exchange("a", **private), exchange("shadow-a", arm="shadow", **private), exchange("b", **private)])
    for id_ in ("a", "b"):
        store.add_feedback(feedback(id_, expected="secret"))
    store.add_feedback(feedback("shadow-a", source="shadow", expected="secret"))
    _, end = store.recorded(0, limit=9)
    assert store.delete(["a", "b", "nowhere"]) == 2
    assert store.exchange("a") is store.exchange("shadow-a") is None
    assert store.exchange("b") == exchange("b", request=b"{}", reply=None)
    assert store.graded("sums", limit=9) == store.ungraded(limit=9) == []
    store.record([exchange("c")])
    assert [one.id for one in store.recorded(end, limit=9)[0]] == ["c"]
    store.flush_deleted()


def test_examples_are_taken_out_of_every_version(store: Store) -> None:
    """The history says so, and the revision that gateways follow grows."""
    example = Example(question="q", answer="a", origin="x1", key="team-a")
    other = Example(question="q2", answer="a2", origin="x2")
    first = store.publish(msgspec.structs.replace(RULES, examples=(example, other)))
    second = store.publish(msgspec.structs.replace(RULES, examples=(other,)))
    store.activate(Activation(task="sums", version=1, created=1.0, by="t"))
    store.activate(Activation(task="sums", version=2, created=1.0, by="t", kind="canary", share=0.5))
    before = store.revision()
    (changed,) = store.redact(lambda one: one.origin == "x1", now=2.0, by="forget", why="asked for")
    assert changed == msgspec.structs.replace(first, examples=(other,)) == store.rule_set("sums", 1)
    assert store.rule_set("sums", 2) == second
    assert store.history("sums")[-1] == Activation(
        task="sums", version=1, created=2.0, by="forget", why="asked for", kind="redaction"
    )
    assert store.revision() > before
    assert store.traffic_splits()["sums"] == TrafficSplit(live=changed, canary=second, canary_share=0.5)
    assert store.redact(lambda one: one.origin == "x1", now=3.0, by="forget", why="") == []


def test_cycles_lose_the_texts_of_requests(store: Store) -> None:
    """A plan when its cycle ends; an outcome's examples when they are too old, and then an open cycle is ended."""
    outcome = (
        b'{"task":"sums","note":"better","spent":["i1"],"fixed_examples":[{"input":"secret"}],"broken_examples":[]}'
    )
    ended, young = (store.begin_cycle("sums", started, b'{"items":"secret"}') for started in (1.0, 9.0))
    for cycle in (ended, young):
        store.end_cycle(cycle.id, cycle.started + 1, outcome)
    store.begin_cycle("sums", 3.0, b'{"items":"secret"}')
    store.begin_cycle("other", 3.0, b'{"items":"secret"}')
    assert {cycle.plan for cycle in store.cycles("sums", limit=9) if cycle.ended} == {b"{}"}
    assert store.redact_cycles(5.0, tasks=["sums"]) == 2
    assert store.open_cycle("sums") is None and store.open_cycle("other") is not None
    redacted = {cycle.started: cycle for cycle in store.cycles("sums", limit=9)}
    assert redacted[9.0].outcome == outcome
    assert msgspec.json.decode(redacted[1.0].outcome or b"") == {"task": "sums", "note": "better", "spent": ["i1"]}
    assert b"secret" not in (redacted[3.0].plan + (redacted[3.0].outcome or b""))
    assert store.redact_cycles(5.0) == 1
    assert store.redact_cycles(5.0) == 0


def test_traffic_splits_are_what_the_histories_come_to(store: Store) -> None:
    """Live, on trial, and shares, for every task that has a history; the kill switch is no task."""
    for _ in range(2):
        store.publish(RULES)
    store.publish(msgspec.structs.replace(RULES, task="other"))
    for entry in (
        Activation(task="sums", version=1, created=1.0, by="t"),
        Activation(task="sums", version=2, created=2.0, by="t", kind="canary", share=0.25),
        Activation(task="sums", version=None, created=3.0, by="t", kind="share", share=0.5),
        Activation(task="sums", version=None, created=3.5, by="t", kind="audit", share=0.125),
        Activation(task="other", version=1, created=4.0, by="t"),
        Activation(task="other", version=None, created=5.0, by="t"),
        Activation(task="*", version=None, created=6.0, by="t", kind="injection", share=0.0),
    ):
        store.activate(entry)
    assert store.traffic_splits() == {
        "sums": TrafficSplit(
            live=store.rule_set("sums", 1),
            canary=store.rule_set("sums", 2),
            canary_share=0.25,
            weak_share=0.5,
            audit_rate=0.125,
        ),
        "other": TrafficSplit(),
    }
    assert list(store.active()) == ["sums"]
    assert not store.injecting()


def test_rules_are_injected_until_somebody_says_otherwise(store: Store) -> None:
    """The last word counts."""
    assert store.injecting()
    for share, injecting in ((0.0, False), (1.0, True)):
        store.activate(Activation(task="*", version=None, created=1.0, by="t", kind="injection", share=share))
        assert store.injecting() is injecting


def test_a_decision_goes_by_the_history_that_it_saw(store: Store) -> None:
    """Two that decide at once: the second one is told, and nothing is changed."""
    store.publish(RULES)
    entry = Activation(task="sums", version=1, created=1.0, by="t")
    store.activate(entry, after=0)
    with pytest.raises(Conflict):
        store.activate(Activation(task="sums", version=None, created=2.0, by="t"), after=0)
    assert store.history("sums") == [entry]
    store.activate(Activation(task="sums", version=None, created=2.0, by="t"), after=1)


def test_a_note_is_kept_until_it_is_overwritten(store: Store) -> None:
    """Bytes as they were; an unknown one is none."""
    assert store.note("k") is None
    for value in (b"one", b"\x00two"):
        store.put_note("k", value)
        assert store.note("k") == value


def test_a_glance_shows_the_revision_and_a_note(store: Store) -> None:
    """As the two calls do, whose work it saves."""
    assert store.glance("k") == (0, None)
    store.put_note("k", b"\x00one")
    store.publish(RuleSet(task="sums", rules=(Rule(text="Think."),)))
    store.activate(Activation(task="sums", version=1, created=0.0, by="test"))
    assert store.glance("k") == (store.revision(), store.note("k")) != (0, None)
    assert store.glance("k's") == (store.revision(), None)


def test_a_note_is_swapped_only_if_it_is_still_the_same(store: Store) -> None:
    """So of two writers at once one learns that it came too late."""
    assert [store.swap_note("k", None, b"a"), store.swap_note("k", None, b"b")] == [True, False]
    assert [store.swap_note("k", b"x", b"c"), store.swap_note("k", b"a", b"c")] == [False, True]
    assert store.note("k") == b"c"


def test_what_belongs_to_no_task_comes_back_newest_first(store: Store) -> None:
    """Without failures, and without what may not be learnt from."""
    body = b'{"model":"gpt-4o"}'
    plain = {"task": None, "request": body}
    store.record(
        [
            exchange("old", created=1.0, **plain),
            exchange("mid", created=2.0, **plain),
            exchange("new", created=3.0, **plain),
            exchange("failed", status="error", **plain),
            exchange("objected", task=None, request=b"{}"),
            exchange("claimed", request=body),
        ]
    )
    assert [one.id for one in store.unclaimed(limit=9)] == ["new", "mid", "old"]
    assert [one.id for one in store.unclaimed(limit=1)] == ["new"]


def test_of_an_exchange_that_is_kept_out_of_learning_nothing_is_stored(store: Store) -> None:
    """Neither what would have been right, nor a comment."""
    store.record([exchange("a", request=b"{}", reply=None)])
    with pytest.raises(Conflict, match="without its texts"):
        store.add_feedback(feedback("a", expected="secret"))
    assert store.graded("sums", limit=9) == []


def test_of_two_who_publish_at_once_the_second_is_told(store: Store) -> None:
    """A version is stored once: whoever counted the versions before somebody else published looks again."""
    first = store.publish(RuleSet(task="t"), after=0)
    with pytest.raises(Conflict, match="published meanwhile"):
        store.publish(RuleSet(task="t"), after=0)
    assert [rule_set.version for rule_set in store.rule_sets("t")] == [first.version]
