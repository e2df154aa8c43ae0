"""The audit sample: labels chosen by outcome measure nothing alone, and it says which requests to label."""

import msgspec

from gateway.domain import Exchange, Feedback, Source
from gateway.proof import LabelSources
from gateway.store.base import Audited
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
