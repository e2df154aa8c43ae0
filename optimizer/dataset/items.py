"""Items: questions with their expected answers, and the values around them.

An item's id is a hash of its messages, white space folded: a question is the same item in a data file and in an
exchange. Unusable sources are listed as complaints, never guessed at. Calls no model.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.domain import Value
from gateway.errors import PreceptorError
from gateway.settings import Grader
from optimizer.dataset.chat_translation import chat_of
from optimizer.dataset.remarks import SILENCE, Remark
from optimizer.grading.graders import grader_for

_DELIVERY = ("model", "stream", "stream_options", "metadata", "store", "user", "n", "service_tier", "safety_identifier")
"""Fields of one delivery of a request. The others (temperature, format, tools) belong to the question."""


class BadData(PreceptorError):
    """The examples cannot be used at all."""

    status = 400
    type = "invalid_request_error"
    quotes = True


class ModelLabel(Value, frozen=True):
    """The answer that a model expects, kept where a person says what is right."""

    model: str
    expected: Any


class Item(Value, frozen=True):
    """A question with its expected answer. ``request`` is a chat body without model and delivery."""

    id: str
    request: bytes
    expected: Any
    """``None`` until the right answer is known."""
    labelled_by: str = ""
    """The model behind ``expected``; empty for an answer of people or of data."""
    labellers: tuple[str, ...] = ()
    """Names of the people, keys or models behind ``expected``, if known."""
    cluster: str = ""
    """A name for the items that depend on each other (``clusters``); empty: the item stands alone."""
    audit_rate: float = 1.0
    """Probability (0..1) of the draw into the audit sample, before any outcome was known. 0: the item was chosen by its
    outcome, so that it may teach but not measure. 1: an item of a data file."""
    key: str | None = None
    """Name of the client's key behind the question."""
    tenant: str | None = None
    """16 hex digits for the end user behind the question."""
    weight: float = 1.0
    """Audited requests that the item stands for (``statistics.label_weights``)."""
    asked: bool = True
    """False for a label of a user's own accord, mostly given to a wrong reply."""
    model_label: ModelLabel | None = None

    @property
    def is_audited(self) -> bool:
        """True for an item that may measure."""
        return self.audit_rate > 0

    @property
    def unit(self) -> str:
        """The name of the item's cluster, or its own."""
        return self.cluster or self.id


class RecordedReply(Value, frozen=True):
    """A recorded reply of the incumbent to an item."""

    reply: str
    correct: bool
    remark: Remark = SILENCE
    """Words about a wrong reply."""


class Mistake(Value, frozen=True):
    """A request with a wrong reply of the weak model. ``expected`` is ``None`` where the right answer is unknown."""

    request: bytes
    reply: str
    expected: Any = None
    remark: Remark = SILENCE
    """Words about the reply by whoever judged it."""


class Examples(Value, frozen=True):
    """The usable part of a source of examples, and complaints about the rest."""

    items: tuple[Item, ...] = ()
    seen: Mapping[str, RecordedReply] = msgspec.field(default_factory=dict)
    """The incumbent's recorded replies by item id (graded exchanges only)."""
    mistakes: tuple[Mistake, ...] = ()
    """Mistakes without an expected answer: they may teach, and measure nothing."""
    complaints: tuple[str, ...] = ()


def item_of(body: dict[str, Any], expected: Any) -> Item:
    """Return the item of a chat body, or of a recorded body with a counterpart in a chat.

    Raises ``BadData`` for a body without messages, and the errors of ``chat_of``.
    """
    body = chat_of(body)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise BadData("'messages' must be a list of at least one message")
    request = {name: value for name, value in body.items() if name not in _DELIVERY}
    try:
        digest = hashlib.sha256(msgspec.json.encode(_folded(messages), order="sorted")).hexdigest()
        return Item(id=digest[:24], request=msgspec.json.encode(request), expected=expected)
    except RecursionError:
        raise BadData("'messages' are nested too deep") from None


def item_of_request(request: bytes, expected: Any = None) -> Item:
    """Return the item behind a recorded request. Raises the errors of ``item_of`` and ``parse_object``."""
    return item_of(parse_object(request), expected)


def parse_object(data: bytes) -> dict[str, Any]:
    """Return a JSON object. Raises ``BadData``."""
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadData(f"not a JSON object: {error}") from None


def reconciled(sources: Sequence[tuple[str, Item]], complaints: list[str], section: Grader) -> list[Item]:
    """Return each item once. ``sources`` are items with their places, in order of precedence.

    A label wins over none, a person's label over a model's, an audited item over another with the same answer. Items
    whose labels contradict each other, both of people or both of models, are left out with a complaint.
    """
    grader = grader_for(section)
    kept: dict[str, tuple[str, Item]] = {}
    contradictory: set[str] = set()
    for place, item in sources:
        known_place, known = kept.setdefault(item.id, (place, item))
        if known is item or item.expected is None:
            continue
        if known.expected is None:
            kept[item.id] = (place, item)
        elif grader.contradict(known.expected, item.expected):
            if bool(known.labelled_by) == bool(item.labelled_by):
                contradictory.add(item.id)
                complaints.append(f"{place}: same input as {known_place}, another expected value; both left out")
                continue
            refused, model = (known_place, known.labelled_by) if known.labelled_by else (place, item.labelled_by)
            kept[item.id] = (place, item) if known.labelled_by else (known_place, known)
            complaints.append(f"{refused}: {model} answers otherwise than a person; the person's answer counts")
        else:
            kept[item.id] = (known_place, _merged(known, item))
    return [item for key, (_, item) in kept.items() if key not in contradictory]


def _merged(first: Item, second: Item) -> Item:
    """Return two items with compatible answers as one: a person's label, the higher audit rate, all labellers."""
    base = second if first.labelled_by and not second.labelled_by else first
    return msgspec.structs.replace(
        base,
        audit_rate=max(first.audit_rate, second.audit_rate),
        labellers=tuple(dict.fromkeys([*first.labellers, *second.labellers])),
    )


def _folded(value: Any) -> Any:
    """Return a value with every run of white space in its texts made one space."""
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, list):
        return [_folded(part) for part in value]
    if isinstance(value, dict):
        return {name: _folded(part) for name, part in value.items()}
    return value
