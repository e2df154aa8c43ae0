"""The audit sample: labels chosen by outcome measure nothing alone, and it says which requests to label."""

import msgspec

from gateway.domain import Exchange, Feedback, Source
from gateway.label_queue import QUEUE_S, waiting
from gateway.proof import LabelSources
from gateway.store.base import Audited, Graded
from optimizer.dataset.items import ModelLabel
from optimizer.distillation.audit_sample import (
    audit_sample,
    claim_of,
    graded_of,
    sentence,
    sources_of,
    weighted_items,
)
from tests.scripted import questions

ITEMS = questions(60)


def exchange(number: int) -> Exchange:
    return Exchange(
        id=f"chatcmpl-{number}", created=float(number), task="t", client_model="m", model="small", arm="weak",
        rules=None, stream=False, status="ok", http_status=200, request=ITEMS[number].request, reply="1",
        audit_rate=0.5,
    )  # fmt: skip


def label(number: int, source: Source = "label", **changes: object) -> Feedback:
    plain = Feedback(
        exchange_id=f"chatcmpl-{number}", created=100.0, source=source, expected=ITEMS[number].expected, labeller="Ada"
    )
    return msgspec.structs.replace(plain, **changes)


def entry(number: int, *feedback: Feedback) -> Audited:
    return Audited(exchange=exchange(number), feedback=feedback)


IDS = {f"chatcmpl-{number}": item.id for number, item in enumerate(ITEMS)}


def test_corrections_of_wrong_replies_alone_show_nothing() -> None:
    """The README's first habit: the sentence says how many requests to label."""
    sample = audit_sample([entry(n, *([label(n, "client")] if n < 15 else [])) for n in range(60)])
    items, labels = weighted_items(ITEMS[:15], sample, IDS)
    said = sentence(labels, "sums")
    assert said.startswith("labels were chosen by outcome: nothing can be shown; label these 40 requests")
    assert len(sample.to_label) == 40 and not any(known.feedback for known in sample.to_label)
    assert not any(item.asked for item in items) and (labels.unasked, labels.missing) == (15, 45)


def test_labels_that_were_asked_for_stand_for_the_others() -> None:
    """Users' corrections count once each; those of the queue share what is left. What is younger is not in yet."""
    sample = audit_sample([entry(n, label(n, "client")) for n in range(10)] + [entry(n) for n in range(10, 60)])
    queue = [known.exchange.id for known in sample.to_label][:20]
    answered = [
        entry(n, *([label(n, "client")] if n < 10 else [label(n)] if f"chatcmpl-{n}" in queue else []))
        for n in range(60)
    ]
    weighed = audit_sample(answered)
    items, labels = weighted_items(ITEMS, weighed, IDS)
    assert not labels.problem and labels.asked == 20 and labels.unasked == 10
    by_asked = {item.asked: item.weight for item in items if item.is_audited}
    assert by_asked[False] == 1.0 and by_asked[True] == (labels.asked + labels.missing) / 20
    newest = max(int(name.rpartition("-")[2]) for name in queue)
    assert not any(item.is_audited for item in items[newest + 1 :])


def test_thumbs_judge_the_incumbents_reply_only() -> None:
    """Right replies name the right answer, wrong ones do not; it is said."""
    thumbs = [label(n, "client", expected=None, correct=n % 4 != 0) for n in range(40)]
    sample = audit_sample([entry(n, thumbs[n]) for n in range(40)])
    _, labels = weighted_items(ITEMS[:40], sample, IDS)
    assert labels.judged_only == 10 and "10 replies are only called right or wrong" in sentence(labels, "t")
    assert len(graded_of(sample)) == 30


def test_a_persons_word_counts_more_and_the_models_is_kept_as_evidence() -> None:
    """Where they differ, that speaks about the labeller."""
    model = label(0, "shadow", expected=7, labeller="large")
    sample = audit_sample([entry(0, model, label(0)), entry(1, label(1, "shadow", labeller="large"))])
    assert [graded.feedback.source for graded in graded_of(sample)] == ["shadow", "label"]
    own = msgspec.structs.replace(ITEMS[1], labelled_by="large", labellers=("large",))
    items, labels = weighted_items([ITEMS[0], own], sample, IDS)
    assert items[0].model_label == ModelLabel(model="large", expected=7) and items[1].model_label is None
    assert (labels.people, labels.models, labels.contradicted) == (1, 1, 1)


def test_a_model_asked_on_a_share_labels_the_rest_as_well() -> None:
    """Nobody passed anything over. Where a user chose to label, the model's draw makes that no random label."""
    by_model = [entry(n, label(n, "shadow", labeller="large")) if n % 3 == 0 else entry(n) for n in range(60)]
    corrected = [
        msgspec.structs.replace(known, feedback=(*known.feedback, label(n, "client")))
        for n, known in enumerate(by_model)
        if n % 6 == 0
    ]
    sample = audit_sample([*corrected, *(known for n, known in enumerate(by_model) if n % 6)])
    items, labels = weighted_items(ITEMS, sample, IDS)
    assert not labels.problem and (labels.unasked, labels.asked, labels.missing) == (10, 10, 38)
    assert [items[n].asked for n in (0, 3, 6, 9)] == [False, True, False, True]
    assert [items[n].weight for n in (0, 3)] == [1.0, 4.8] and not items[1].is_audited
    assert items[0].model_label is not None


def test_a_label_on_the_background_answer_labels_the_request() -> None:
    """Where the strong model served, the weak one's answer is compared: it is the reply to learn from."""
    strong = [msgspec.structs.replace(exchange(n), arm="strong", model="large") for n in range(12)]
    answers = [
        msgspec.structs.replace(exchange(n), id=f"shadow-chatcmpl-{n}", arm="shadow", audit_rate=0.0) for n in range(12)
    ]
    verdicts = [
        msgspec.structs.replace(label(n, "shadow", labeller="large"), exchange_id=answers[n].id) for n in range(12)
    ]
    compared = [Graded(exchange=answers[n], feedback=verdicts[n]) for n in range(12)]
    sample = audit_sample([Audited(exchange=strong[n], shadow=compared[n]) for n in range(12)])
    assert not sample.weighed.problem and set(sample.origins) == {"drawn"}
    graded = graded_of(sample)
    assert [known.exchange.id for known in graded] == [answers[n].id for n in reversed(range(12))]
    assert {known.exchange.audit_rate for known in graded} == {0.5}
    ids = {f"shadow-chatcmpl-{n}": item.id for n, item in enumerate(ITEMS[:12])}
    items, labels = weighted_items(ITEMS[:12], sample, ids)
    assert labels.asked == 12 and all(item.asked and item.weight == 1.0 for item in items)


def test_an_exchange_outside_of_the_sample_teaches_only() -> None:
    """And without any sample it is said what to wait for."""
    items, labels = weighted_items(ITEMS[:3], audit_sample([]), IDS)
    assert not any(item.is_audited for item in items) and "audit sample" in sentence(labels, "t")


def test_the_claim_names_who_labelled() -> None:
    """Agreement with a model is never called right."""
    by_model = [msgspec.structs.replace(item, labelled_by="large") for item in ITEMS[:3]]
    assert claim_of(ITEMS[:2]) == "right by the labels of people or data"
    assert claim_of(by_model) == "agreement with large"
    assert claim_of([*by_model, ITEMS[5]]) == "agreement with large (1 of 4 items are labelled by people)"
    assert sources_of(by_model) == LabelSources(models=3, labellers=("large",))


def test_a_failed_exchange_is_in_no_sample() -> None:
    """It has no reply to compare with."""
    failed = msgspec.structs.replace(exchange(0), status="error", reply=None)
    assert audit_sample([Audited(exchange=failed, feedback=(label(0),))]).exchanges == ()


def test_a_thumb_down_is_still_asked_about_and_the_queue_and_the_gate_agree_on_it() -> None:
    """A reply called wrong is no label for another reply: it waits, and its answer from the queue is an asked one."""
    thumb = label(0, "client", expected=None, correct=False)
    rest = [entry(n, label(n)) for n in range(1, 30)]
    waits = audit_sample([entry(0, thumb), *rest])
    assert (
        [known.exchange.id for known in waits.to_label]
        == ["chatcmpl-0"]
        == [known.exchange.id for known in waiting(waits.exchanges)]
    )
    answered = audit_sample([entry(0, thumb, label(0)), *rest])
    assert set(answered.origins) == {"asked"} and not answered.to_label and not waiting(answered.exchanges)


def test_who_labelled_first_does_not_move_an_item_between_the_strata() -> None:
    """A client's label makes it one of the clients', before or after the queue or a model: strata follow no draw."""
    both = entry(0, label(0, created=50.0), label(0, "client", created=60.0))
    drawn = entry(1, label(1, "shadow"), label(1, "client"))
    assert audit_sample([both, drawn, entry(2, label(2)), entry(3, label(3, "shadow"))]).origins.count("unasked") == 2


def test_labels_of_a_drawn_share_of_the_traffic_can_show_something() -> None:
    """A tenth of the requests is compared with the strong model: nobody passed the others over."""
    sample = audit_sample([entry(n, *([label(n, "shadow")] if n % 5 == 0 else [])) for n in range(60)])
    assert not sample.weighed.problem and sample.weighed.asked == 12


def test_contradicted_feedback_confirms_nothing() -> None:
    """Right by the client, wrong by the grader; and right, then wrong."""
    torn = label(0, "client", correct=True, verdict=0.0)
    turned = (label(1, expected=None, correct=True, created=1.0), label(1, expected=None, correct=False, created=2.0))
    assert set(audit_sample([entry(0, torn), entry(1, *turned)]).origins) <= {"none", "later"}


def test_what_left_the_queue_before_anybody_began_to_label_is_in_the_sample_no_more() -> None:
    """The queue shows thirty days: older requests were not passed over, nobody was asked."""
    old = [entry(n) for n in range(20)]
    late = [entry(n, label(n, created=QUEUE_S + 20.0)) for n in range(20, 40)]
    sample = audit_sample([*old, *late])
    assert len(sample.exchanges) == 20 and not sample.weighed.problem and sample.weighed.skipped == 0
    kept = audit_sample([entry(0, label(0, "shadow")), *old[1:], *late])
    assert kept.origins.count("later") == 19 and kept.weighed.skipped == 0


def test_what_came_since_the_last_labels_was_not_passed_over() -> None:
    """A person labels a little now and then, in the queue's order: newer requests wait at places passed before."""
    known = {n: entry(n) for n in range(60)}
    for session, most in ((1, 15), (2, 5), (3, 5)):
        come = [known[n] for n in range(20 * session)]
        for waits in waiting(come)[:most]:
            number = int(waits.exchange.id.rpartition("-")[2])
            known[number] = entry(number, label(number, created=20.0 * session))
    sample = audit_sample(list(known.values()))
    assert not sample.weighed.problem and sample.weighed.skipped == 0 and sample.weighed.asked == 25
    first = next(n for n in (int(one.exchange.id.rpartition("-")[2]) for one in sample.exchanges) if n < 20)
    assert audit_sample([entry(n) if n == first else known[n] for n in known]).weighed.skipped == 1
