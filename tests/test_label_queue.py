"""The queue of audited exchanges, and the labels that stand for the waiting part."""

from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import Feedback, Source
from gateway.label_queue import PEOPLE, answer_in, describe, summarize, waiting
from gateway.store.base import Audited
from tests.unclaimed import chat, exchange


def audited(number: int, *feedback: Feedback, **fields: Any) -> Audited:
    given = {"id": f"a{number}", "task": "sums", "arm": "weak", "audit_rate": 1.0, **fields}
    return Audited(exchange=exchange(number, chat("Add."), **given), feedback=feedback)


def judged(number: int, correct: bool | None, source: Source = "client", **fields: Any) -> Feedback:
    return Feedback(exchange_id=f"a{number}", created=float(number), correct=correct, source=source, **fields)


def test_what_has_no_right_answer_of_a_person_waits() -> None:
    """Answers of clients and of the queue count; the other model's and signs of failure are no person's. Wrong alone is
    no answer: it waits on, and last if the queue has asked before."""
    sample = [
        audited(0),
        audited(1, judged(1, True)),
        audited(2, judged(2, False, "label")),
        audited(3, judged(3, True, "shadow")),
        audited(4, judged(4, False, "outcome")),
        audited(5, judged(5, None, expected=42)),
        audited(6, judged(6, False)),
        audited(7, judged(7, False, "label", expected=42)),
        audited(8, judged(8, True, "label"), judged(9, False, "label")),
    ]
    order = [entry.exchange.id for entry in waiting(sample)]
    assert set(order[:4]) == {"a0", "a3", "a4", "a6"} and set(order[4:]) == {"a2", "a8"}
    assert summarize(sample).judged_only == 3 and summarize(sample).waiting == len(order)


def test_one_rule_names_the_answer() -> None:
    """The newest of a source counts, a person's word over a client's; what contradicts itself names nothing."""
    corrected = judged(1, None, expected=42)
    assert answer_in([corrected], PEOPLE) == corrected
    assert answer_in([judged(1, True), judged(2, False)], PEOPLE) is None
    assert answer_in([judged(1, False), right := judged(2, True)], PEOPLE) == right
    assert answer_in([judged(1, True), judged(0, False, "label")], PEOPLE) is None
    assert answer_in([corrected, judged(0, False, "label")], PEOPLE) == corrected
    assert answer_in([judged(1, True, expected=42, verdict=0.0)], PEOPLE) is None
    shadow = judged(1, None, "shadow", expected=7)
    assert answer_in([shadow], PEOPLE) is None and answer_in([shadow], (*PEOPLE, "shadow")) == shadow


def test_a_failed_request_has_nothing_to_judge() -> None:
    """It neither waits nor counts as unlabelled."""
    sample = [audited(0, status="upstream_error", reply=None), audited(1)]
    assert [entry.exchange.id for entry in waiting(sample)] == ["a1"]
    assert summarize(sample).failed == 1


@given(st.permutations(range(12)))
def test_the_order_depends_on_the_ids_alone(order: list[int]) -> None:
    """Neither arrival nor outcome moves a request to the front, and labels of others change nothing."""
    sample = [audited(number) for number in range(12)]
    queue = [entry.exchange.id for entry in waiting(sample)]
    assert [entry.exchange.id for entry in waiting([sample[number] for number in order])] == queue
    without_first = [entry for entry in sample if entry.exchange.id != queue[0]]
    assert [entry.exchange.id for entry in waiting(without_first)] == queue[1:]
    assert queue != sorted(queue, key=lambda name: int(name[1:]))


def test_labels_from_the_queue_stand_for_the_waiting_part() -> None:
    """Complaints for the wrong replies only: 30 of 30 wrong. The rest is right, as the queue shows; the sum is 70%."""
    complaints = [audited(number, judged(number, False)) for number in range(30)]
    rest = [audited(number) for number in range(30, 100)]
    assert summarize(complaints + rest).right is None
    queue = waiting(rest)
    labelled = {entry.exchange.id for entry in queue[:20]}
    answered = [
        Audited(exchange=entry.exchange, feedback=(judged(0, True, "label", labeller="anna"),))
        if entry.exchange.id in labelled
        else entry
        for entry in rest
    ]
    labels = summarize(complaints + answered)
    assert (labels.unasked, labels.answered, labels.waiting, labels.judged_only) == (30, 20, 80, 30)
    assert labels.right == 0.7 and labels.interval is not None
    assert labels.interval[0] < 0.7 <= labels.interval[1] + 0.05


def test_the_interval_covers_the_truth() -> None:
    """In 95% of 400 simulated samples, whatever came unasked, as long as the queue is labelled in its order."""
    random, covered = Random(1), 0
    for run in range(400):
        right = {number: random.random() < 0.8 for number in range(250)}
        sample = [
            audited(number, judged(number, ok), id=f"{run}-{number}")
            if random.random() < (0.05 if ok else 0.5)
            else audited(number, id=f"{run}-{number}")
            for number, ok in right.items()
        ]
        first = {entry.exchange.id for entry in waiting(sample)[:40]}
        labelled = [
            Audited(
                exchange=entry.exchange,
                feedback=(*entry.feedback, judged(9, right[int(entry.exchange.id.split("-")[1])], "label")),
            )
            if entry.exchange.id in first
            else entry
            for entry in sample
        ]
        interval = summarize(labelled).interval
        assert interval is not None
        covered += interval[0] <= sum(right.values()) / 250 <= interval[1]
    assert covered >= 0.93 * 400


def test_contradictions_and_labellers_are_counted() -> None:
    """All judgements are kept; a later one of the queue counts over an earlier one."""
    sample = [
        audited(0, judged(0, True, key="web"), judged(0, False, "label", labeller="anna")),
        audited(1, judged(1, True, "label", labeller="anna"), judged(1, True, "shadow", labeller="large")),
        audited(2, judged(2, True, "label", expected=7, verdict=0.0)),
    ]
    labels = summarize(sample)
    assert labels.contradictions == 2
    assert dict(labels.labellers) == {"anna": 2, "key web": 1, "large": 1, "queue": 1}
    assert (labels.unasked, labels.right_unasked) == (1, 0)


def test_people_read_what_is_known_and_what_is_missing() -> None:
    """Without a label from the queue nothing is claimed, and the command that helps is named."""
    sample = [audited(number) for number in range(60)]
    assert describe(summarize([]), "sums") == ["no request is in the audit sample yet"]
    counts, advice = describe(summarize(sample), "sums")
    assert counts == "60 requests in the audit sample, 0 labelled (0 unasked, 0 from the queue), 60 waiting"
    assert "label 40 requests with 'preceptor label sums'" in advice
    complained = [audited(number, judged(number, False)) for number in range(5)] + sample[5:]
    said = describe(summarize(complained), "sums")
    assert "5 replies are called wrong without the right answer" in said[1]
    assert "may be chosen by their outcome" in said[2]
    all_done = [audited(number, judged(number, True, "label")) for number in range(10)]
    assert "right replies: 100%" in describe(summarize(all_done), "sums")
