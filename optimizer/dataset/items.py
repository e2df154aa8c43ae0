"""Examples with their expected answers, and the parts of a cycle that they belong to.

An item's id is a hash of its messages, white space folded, so that one question is one item wherever it came from. What
cannot be used (bad lines, contradictory labels) is listed, never guessed at. Does not call models.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from gateway.domain import Value
from gateway.errors import PreceptorError
from gateway.settings import Grader
from gateway.store.base import Graded
from optimizer.dataset.chat_translation import chat_of
from optimizer.grading.graders import GraderFailed, ReplyGrader, Submission, grader_for

# What belongs to one delivery of a request and not to its question; the rest (temperature, format, tools) is kept.
_DELIVERY = ("model", "stream", "stream_options", "metadata", "store", "user", "n", "service_tier", "safety_identifier")

# What of an example's line belongs to its question.
_ASKED = ("messages", "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call", "response_format")

Read = TypeVar("Read")
Part = Literal["induction", "selection", "confirmation"]
_SELECTION_FROM = 0.3
_CONFIRMATION_FROM = 0.6


class BadData(PreceptorError):
    """The examples cannot be used at all."""

    status = 400
    type = "invalid_request_error"


class Item(Value, frozen=True):
    """One question with its expected answer. ``request`` is a chat body without model and delivery."""

    id: str
    request: bytes
    expected: Any
    """``None`` until somebody says what is right."""
    labelled_by: str = ""
    """The model whose own answer ``expected`` is; empty where people or data say what is right."""


class RecordedReply(Value, frozen=True):
    """A reply that the incumbent has already given to an item, and whether it was right."""

    reply: str
    correct: bool


class Mistake(Value, frozen=True):
    """A request that the weak model got wrong. ``expected`` is ``None`` where nobody said what is right."""

    request: bytes
    reply: str
    expected: Any = None


class Examples(Value, frozen=True):
    """What a source of examples held, and what of it could not be used."""

    items: tuple[Item, ...] = ()
    seen: Mapping[str, RecordedReply] = msgspec.field(default_factory=dict)
    """The incumbent's recorded replies by item id (graded exchanges only)."""
    mistakes: tuple[Mistake, ...] = ()
    """Mistakes without an expected answer: induction may learn from them, nothing can be measured on them."""
    complaints: tuple[str, ...] = ()


class Split(Value, frozen=True):
    """The items of a cycle in three parts that share none."""

    induction: tuple[Item, ...]
    selection: tuple[Item, ...]
    confirmation: tuple[Item, ...]


def item_of(body: dict[str, Any], expected: Any) -> Item:
    """An item from a chat body, or a recorded one that asks what a chat can ask.

    Raises ``BadData`` if it holds no messages, and what ``chat_of`` raises.
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


def load_jsonl(path: Path, grader: Grader, *, labelled: bool = True) -> Examples:
    """Read examples from a data file; raises ``BadData`` if there is none that can be used.

    A line without ``expected`` can be used if they need not be ``labelled`` (``evaluation.reference_answers``).
    """
    found, complaints = read_lines(path, lambda line: example_of(line, grader, labelled=labelled))
    items = _reconciled(found, complaints, grader)
    if not items:
        why = f"; {complaints[0]}" if complaints else ""
        raise BadData(f'{path} holds no example that can be used: write {{"input": ..., "expected": ...}} lines{why}')
    return Examples(items=tuple(items), complaints=tuple(complaints))


def read_lines(path: Path, read: Callable[[bytes], Read]) -> tuple[list[tuple[str, Read]], list[str]]:
    """What each line of a data file holds, with where it stands, and a complaint about each that cannot be read.

    Raises ``BadData`` if the file itself cannot be read.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}") from error
    found: list[tuple[str, Read]] = []
    complaints: list[str] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                found.append((f"line {number}", read(line)))
            except PreceptorError as error:
                complaints.append(f"line {number}: {error}")
    return found, complaints


def from_graded(graded: Sequence[Graded], grader: Grader, *, model: str, rules: int | None) -> Examples:
    """Turn graded exchanges into items, newest first.

    The expected answer is the feedback's, or what the reply stands for if the feedback calls it right. Replies count as
    the incumbent's own only if ``model`` gave them under the version ``rules``.
    """
    compare = grader_for(grader)
    found: list[tuple[str, Item]] = []
    complaints: list[str] = []
    seen: dict[str, RecordedReply] = {}
    mistakes: list[Mistake] = []
    for one in graded:
        exchange, reply = one.exchange, one.exchange.reply
        if reply is None:
            continue
        correct, own = correctness(one), exchange.model == model and exchange.rules == rules
        try:
            expected = one.feedback.expected
            if expected is None and correct is not True:
                if correct is False and own:
                    mistakes.append(Mistake(request=item_of_request(exchange.request).request, reply=reply))
                continue
            item = item_of_request(exchange.request, expected)
            if expected is None:
                submission = Submission(text=reply, tool_calls=None, request=item.request)
                item = msgspec.structs.replace(item, expected=compare.label(submission))
            if one.feedback.source == "shadow":
                item = msgspec.structs.replace(item, labelled_by=one.feedback.comment or "")
            right = _right(compare, item, reply, correct)
        except PreceptorError as error:
            complaints.append(f"exchange {exchange.id}: {error}")
            continue
        found.append((f"exchange {exchange.id}", item))
        if own and right is not None:
            seen.setdefault(item.id, RecordedReply(reply=reply, correct=right))
    items = _reconciled(found, complaints, grader)
    kept = {item.id for item in items}
    return Examples(
        items=tuple(items),
        seen={key: value for key, value in seen.items() if key in kept},
        mistakes=tuple(mistakes),
        complaints=tuple(complaints),
    )


def split(
    items: Iterable[Item], *, salt: str, selection: int, confirmation: int, spent: frozenset[str] = frozenset()
) -> Split:
    """Three parts by hash of id and salt: 30, 30 and 40 of a hundred, the last two capped.

    An item keeps its part when others come, except that one which helped to decide before (``spent``) decides no more:
    it moves to induction.
    """
    parts: dict[Part, list[tuple[float, Item]]] = {"induction": [], "selection": [], "confirmation": []}
    for item in items:
        place = _place(item.id, salt)
        part = _part(place)
        parts["induction" if part == "confirmation" and item.id in spent else part].append((place, item))
    ordered = {part: [item for _, item in sorted(members, key=_by_place)] for part, members in parts.items()}
    return Split(
        induction=tuple(ordered["induction"]),
        selection=tuple(ordered["selection"][:selection]),
        confirmation=tuple(ordered["confirmation"][:confirmation]),
    )


def _place(item_id: str, salt: str) -> float:
    """A number in 0..1 that is fixed by id and salt."""
    return int.from_bytes(hashlib.sha256(f"{salt}\n{item_id}".encode()).digest()[:8]) / 2**64


def _part(place: float) -> Part:
    if place < _SELECTION_FROM:
        return "induction"
    return "selection" if place < _CONFIRMATION_FROM else "confirmation"


def _by_place(member: tuple[float, Item]) -> float:
    return member[0]


def example_of(line: bytes, grader: Grader, *, labelled: bool = True) -> Item:
    """An item from a line of JSON. Raises ``BadData`` and, for an ``expected`` of no use, ``Ungradable``."""
    body = parse_object(line)
    if labelled and "expected" not in body:
        raise BadData("'expected' is missing")
    text = body.get("input")
    if isinstance(text, str):
        body = {**body, "messages": [{"role": "user", "content": text}]}
    elif "messages" not in body:
        raise BadData("'input' (a text) or 'messages' is missing")
    item = item_of({name: body[name] for name in _ASKED if name in body}, body.get("expected"))
    if "expected" not in body:
        return item
    grader_for(grader).examine(item.expected)
    labelled_by = body.get("labelled_by", "")
    if not isinstance(labelled_by, str):
        raise BadData("'labelled_by' must be the name of the model whose answer 'expected' is")
    return msgspec.structs.replace(item, labelled_by=labelled_by)


def parse_object(data: bytes) -> dict[str, Any]:
    """A JSON object. Raises ``BadData``."""
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadData(f"not a JSON object: {error}") from None


def _right(grader: ReplyGrader, item: Item, reply: str, correct: bool | None) -> bool | None:
    """Whether a recorded reply is right, as the grader says or, where it cannot, the feedback; ``None`` if neither."""
    grader.examine(item.expected)
    if not grader.grades_records:
        return correct
    try:
        return grader.grade(Submission(text=reply, request=item.request), item.expected) == 1.0
    except GraderFailed:
        return correct


def correctness(one: Graded) -> bool | None:
    """What the feedback says of the reply; a score between wrong (0) and right (1) says neither."""
    feedback = one.feedback
    if feedback.correct is not None or feedback.score is None:
        return feedback.correct
    return {0.0: False, 1.0: True}.get(feedback.score)


def _reconciled(found: Sequence[tuple[str, Item]], complaints: list[str], grader: Grader) -> list[Item]:
    """Duplicates merged, a label wins over none; items with contradictory labels left out and complained about."""
    first: dict[str, tuple[str, Item]] = {}
    contradictory: set[str] = set()
    for where, item in found:
        known_where, known = first.setdefault(item.id, (where, item))
        if known.expected is None:
            first[item.id] = (where, item)
        elif item.expected is not None and grader_for(grader).contradict(known.expected, item.expected):
            contradictory.add(item.id)
            complaints.append(f"{where}: same input as {known_where}, another expected value; both left out")
    return [item for key, (_, item) in first.items() if key not in contradictory]


def _folded(value: Any) -> Any:
    """The same value with runs of white space in every text made one space."""
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, list):
        return [_folded(part) for part in value]
    if isinstance(value, dict):
        return {name: _folded(part) for name, part in value.items()}
    return value
