"""The audit sample of a task: which labels may measure, what each of them stands for, and which are still missing.

An exchange is drawn into the sample when it is recorded, before anybody knows its outcome. Labels come in two ways. The
label queue and models are *asked*, whatever the outcome was; users label of their own accord, mostly wrong replies. The
latter are measured by only together with the former (``statistics.label_weights``). A judgement without the right
answer labels the reply of the incumbent: good for the watch, useless to confirm another reply, so the queue asks on
(``gateway.label_queue.answer_in`` is the one rule for both). Where the strong model served, the weak one's background
answer is judged: the draw was of the request, so that label is one of the sample as well. Labels nothing.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from gateway.domain import Feedback, Source, Value
from gateway.label_queue import PEOPLE, QUEUE_S, answer_in, place_of
from gateway.proof import LabelSources
from gateway.store.base import Audited, Graded
from optimizer.dataset.items import Item, ModelLabel
from optimizer.dataset.remarks import with_comment
from optimizer.statistics.label_weights import LabelWeights, Origin, label_weights

_PRECEDENCE: tuple[Source, ...] = (*PEOPLE, "shadow")
"""Sources of an expected answer, a person's word first."""
_ASKED: tuple[Origin, ...] = ("asked", "drawn")
_UNLABELLED: tuple[Origin, ...] = ("none", "later")


class AuditSample(Value, frozen=True):
    """The exchanges of an audit sample, in the order in which the label queue asks about them."""

    exchanges: tuple[Audited, ...]
    origins: tuple[Origin, ...]
    weighed: LabelWeights

    @property
    def to_label(self) -> list[Audited]:
        """The exchanges to label next: those that are needed, else every one without a label, in the queue's order."""
        pairs = zip(self.exchanges, self.origins, strict=True)
        waiting = [entry for entry, origin in pairs if origin in _UNLABELLED]
        return waiting[: self.weighed.ask or None]


def audit_sample(audited: Sequence[Audited]) -> AuditSample:
    """Put an audit sample in order.

    Exchanges younger than the newest label that was asked for are not in the sample yet: nobody was asked about them.
    Those that had left the queue before the first label are in it no more. Without such a label all are.
    """
    usable = [entry for entry in audited if entry.exchange.status == "ok" and entry.exchange.reply is not None]
    by_origin: dict[Origin, list[Audited]] = {"asked": [], "drawn": []}
    for entry in usable:
        by_origin.get(_origin(entry), []).append(entry)
    drawn = [entry.exchange.created for entry in by_origin["drawn"]]
    begun, ended = _queue_period(by_origin["asked"])
    first = min([begun, *drawn]) if by_origin["asked"] else -math.inf
    last = max([*([ended] if by_origin["asked"] else []), *drawn], default=math.inf)
    ordered = sorted((entry for entry in usable if first <= entry.exchange.created <= last), key=place_of)
    origins = tuple(
        "later" if origin == "none" and not (passed and entry.exchange.created >= begun) else origin
        for entry, origin, passed in zip(ordered, map(_origin, ordered), _passed_over(ordered), strict=True)
    )
    return AuditSample(exchanges=tuple(ordered), origins=origins, weighed=label_weights(origins))


def graded_of(sample: AuditSample) -> list[Graded]:
    """Return the labelled exchanges, each with the feedback that counts, newest first; background answers as well."""
    labelled = []
    for entry in sample.exchanges:
        if (best := _best(entry)) is not None:
            counts = with_comment(best, entry.feedback)
            labelled.append(Graded(exchange=entry.exchange, feedback=counts, others=entry.feedback))
        if entry.shadow is not None and entry.shadow.feedback.expected is not None:
            drawn = msgspec.structs.replace(entry.shadow.exchange, audit_rate=entry.exchange.audit_rate)
            labelled.append(msgspec.structs.replace(entry.shadow, exchange=drawn))
    return sorted(labelled, key=lambda graded: -graded.exchange.created)


def weighted_items(
    items: Sequence[Item], sample: AuditSample, ids: Mapping[str, str]
) -> tuple[tuple[Item, ...], LabelSources]:
    """Return the items with their weights, and an account of their labels.

    ``ids`` name the item of an exchange. An item that is audited but not in the sample yet may teach only.
    """
    weights: dict[str, float] = {}
    asked: dict[str, bool] = {}
    of_models: dict[str, ModelLabel] = {}
    for entry, origin, weight in zip(sample.exchanges, sample.origins, sample.weighed.weights, strict=True):
        item = ids.get(entry.exchange.id) or (ids.get(entry.shadow.exchange.id) if entry.shadow is not None else None)
        if item is None or origin in _UNLABELLED:
            continue
        weights[item] = weights.get(item, 0.0) + weight
        asked[item] = asked.get(item, False) or origin in _ASKED
        if (label := _model_label(entry)) is not None:
            of_models[item] = label
    weighed = tuple(
        msgspec.structs.replace(
            item,
            weight=weights[item.id],
            asked=asked[item.id],
            model_label=None if item.labelled_by else of_models.get(item.id),
        )
        if item.id in weights
        else msgspec.structs.replace(item, audit_rate=0.0)
        for item in items
    )
    return weighed, _sources([item for item in weighed if item.id in weights], sample)


def sources_of(items: Sequence[Item]) -> LabelSources:
    """Return an account of the labels of a data file."""
    return LabelSources(
        people=sum(not item.labelled_by for item in items),
        models=sum(bool(item.labelled_by) for item in items),
        labellers=_labellers(items),
    )


def claim_of(items: Sequence[Item]) -> str:
    """Return the meaning of *right* on items: by people's labels, or agreement with the models that labelled."""
    models = dict.fromkeys(item.labelled_by for item in items if item.labelled_by)
    if not models:
        return "right by the labels of people or data"
    named, count = " and ".join(models), sum(not item.labelled_by for item in items)
    return f"agreement with {named}" + (f" ({count} of {len(items)} items are labelled by people)" if count else "")


def sentence(labels: LabelSources, task: str) -> str:
    """Return why nothing can be shown, and what to do; empty if something can."""
    if not labels.problem:
        return ""
    judged = ""
    if labels.judged_only:
        judged = (
            f" ({labels.judged_only} replies are only called right or wrong: that judges the incumbent's reply and says"
            " nothing about another)"
        )
    if not labels.ask:
        return labels.problem
    return f"{labels.problem}{judged}; label these {labels.ask} requests: preceptor label {task}"


def _queue_period(asked: Sequence[Audited]) -> tuple[float, float]:
    """Return the times of the first and the last exchange that the queue asked about, as far as labels tell."""
    labels = [known.created for entry in asked for known in entry.feedback if known.source == "label"]
    begun = min(labels, default=-math.inf) - QUEUE_S
    return begun, max((entry.exchange.created for entry in asked), default=math.inf)


def _passed_over(ordered: Sequence[Audited]) -> list[bool]:
    """Tell of each exchange whether the queue was worked on behind its place after it had come.

    People label a little every week: what came since waits at places that they had passed before.
    """
    passed, labelled = list[bool](), -math.inf
    for entry in reversed(ordered):
        passed.append(labelled > entry.exchange.created)
        times = [known.created for known in entry.feedback if known.source == "label"]
        labelled = max(labelled, min(times, default=-math.inf))
    return passed[::-1]


def _origin(entry: Audited) -> Origin:
    """Tell how an exchange came by its label. A client's label comes before all others: otherwise the strata would
    depend on the draw."""
    if _best(entry) is None:
        return "none" if _of_model(entry) is None else "drawn"
    if answer_in(entry.feedback, ("client",)) is not None:
        return "unasked"
    return "asked" if answer_in(entry.feedback, ("label",)) is not None else "drawn"


def _best(entry: Audited) -> Feedback | None:
    return answer_in(entry.feedback, _PRECEDENCE)


def _of_model(entry: Audited) -> Feedback | None:
    """Return the label of a model, on the caller's reply or on the background answer."""
    given = entry.feedback if entry.shadow is None else (*entry.feedback, entry.shadow.feedback)
    return answer_in(given, ("shadow",))


def _model_label(entry: Audited) -> ModelLabel | None:
    newest = _of_model(entry)
    if newest is None:
        return None
    return ModelLabel(model=newest.labeller or newest.comment or "shadow", expected=newest.expected)


def _sources(items: Sequence[Item], sample: AuditSample) -> LabelSources:
    weighed = sample.weighed
    if not sample.exchanges:
        problem = "no exchange of this task is in the audit sample, which draws from new traffic"
        return LabelSources(problem=problem)
    judged = sum(
        origin in _UNLABELLED and any(feedback.correct is not None for feedback in entry.feedback)
        for entry, origin in zip(sample.exchanges, sample.origins, strict=True)
    )
    return msgspec.structs.replace(
        sources_of(items),
        unasked=weighed.unasked,
        asked=weighed.asked,
        missing=weighed.missing,
        judged_only=judged,
        passed_over=weighed.skipped,
        contradicted=sum(_contradicted(item) for item in items),
        problem=weighed.problem,
        ask=weighed.ask,
    )


def _contradicted(item: Item) -> bool:
    return item.model_label is not None and item.model_label.expected != item.expected


def _labellers(items: Sequence[Item]) -> tuple[str, ...]:
    names = Counter(
        name for item in items for name in (item.labellers or ((item.labelled_by,) if item.labelled_by else ()))
    )
    return tuple(name for name, _ in names.most_common())
