"""The audit sample of a task: which labels may measure, what each of them stands for, and which are still missing.

An exchange is drawn into the sample when it is recorded, before anybody knows its outcome. Labels come in two ways. The
label queue and models are *asked*, whatever the outcome was; users label of their own accord, mostly wrong replies. The
latter are measured by only together with the former (``statistics.label_weights``). A judgement without the right
answer labels the reply of the incumbent: good for the watch, useless to confirm another reply. Labels nothing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from gateway.domain import Feedback, Value
from gateway.label_queue import place_of
from gateway.proof import LabelSources
from gateway.store.base import Audited, Graded
from optimizer.dataset.items import Item, ModelLabel
from optimizer.statistics.label_weights import LabelWeights, Origin, label_weights

_PRECEDENCE = ("label", "client", "shadow")
"""Sources of an expected answer, a person's word first."""


class AuditSample(Value, frozen=True):
    """The exchanges of an audit sample, in the order in which the label queue asks about them."""

    exchanges: tuple[Audited, ...]
    origins: tuple[Origin, ...]
    weighed: LabelWeights

    @property
    def to_label(self) -> list[Audited]:
        """The exchanges to label next: those that are needed, else every one without a label, in the queue's order."""
        waiting = [entry for entry, origin in zip(self.exchanges, self.origins, strict=True) if origin == "none"]
        return waiting[: self.weighed.ask or None]


def audit_sample(audited: Sequence[Audited]) -> AuditSample:
    """Put an audit sample in order.

    Exchanges younger than the newest asked label are not in the sample yet: nobody was asked about them. Without such
    a label all are.
    """
    usable = [entry for entry in audited if entry.exchange.status == "ok" and entry.exchange.reply is not None]
    asked = [entry.exchange.created for entry in usable if _origin(entry) == "asked"]
    horizon = max(asked, default=float("inf"))
    ordered = sorted((entry for entry in usable if entry.exchange.created <= horizon), key=place_of)
    origins = tuple(map(_origin, ordered))
    return AuditSample(exchanges=tuple(ordered), origins=origins, weighed=label_weights(origins))


def graded_of(sample: AuditSample) -> list[Graded]:
    """Return the labelled exchanges, each with the feedback that counts, newest first."""
    labelled = [
        Graded(exchange=entry.exchange, feedback=best)
        for entry in sample.exchanges
        if (best := _best(entry)) is not None
    ]
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
        item = ids.get(entry.exchange.id)
        if item is None or origin == "none":
            continue
        weights[item] = weights.get(item, 0.0) + weight
        asked[item] = asked.get(item, False) or origin == "asked"
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


def _origin(entry: Audited) -> Origin:
    """Tell how an exchange came by its label: a client's own label before the queue asked counts as unasked."""
    labelling = sorted((feedback for feedback in entry.feedback if _labels(feedback)), key=lambda label: label.created)
    sources = [feedback.source for feedback in labelling if feedback.source in _PRECEDENCE]
    if not sources:
        return "none"
    return "asked" if "shadow" in sources or sources[0] == "label" else "unasked"


def _labels(feedback: Feedback) -> bool:
    """Tell if feedback names the right answer: an expected one, or the reply itself called right."""
    return feedback.expected is not None or (feedback.source in ("label", "client") and feedback.correct is True)


def _best(entry: Audited) -> Feedback | None:
    labelling = [feedback for feedback in entry.feedback if _labels(feedback) and feedback.source in _PRECEDENCE]
    return min(labelling, key=lambda feedback: (_PRECEDENCE.index(feedback.source), -feedback.created), default=None)


def _model_label(entry: Audited) -> ModelLabel | None:
    of_models = [feedback for feedback in entry.feedback if feedback.source == "shadow" and _labels(feedback)]
    if not of_models:
        return None
    newest = max(of_models, key=lambda feedback: feedback.created)
    return ModelLabel(model=newest.labeller or newest.comment or "shadow", expected=newest.expected)


def _sources(items: Sequence[Item], sample: AuditSample) -> LabelSources:
    weighed = sample.weighed
    if not sample.exchanges:
        problem = "no exchange of this task is in the audit sample, which draws from new traffic"
        return LabelSources(problem=problem)
    judged = sum(
        origin == "none" and any(feedback.correct is not None for feedback in entry.feedback)
        for entry, origin in zip(sample.exchanges, sample.origins, strict=True)
    )
    return msgspec.structs.replace(
        sources_of(items),
        unasked=weighed.unasked,
        asked=weighed.asked,
        missing=weighed.missing,
        judged_only=judged,
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
