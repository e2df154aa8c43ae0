"""What a report says, as values. ``distilled`` and ``migrated`` make them, ``page`` shows them; nothing else does."""

from gateway.domain import Scratchpad, Value
from optimizer.report.charts import Bar, Interval, Point

FORMS: dict[Scratchpad, str] = {
    "none": "no scratchpad",
    "tags": "the model works between tags that the gateway removes",
    "two_pass": "the model works in a first pass that the caller never sees",
}
"""The forms of the scratchpad in plain words."""

Fact = tuple[str, str]
"""Something that is told under a name: a question and its answer, a thing and its value."""


class Column(Value, frozen=True):
    """One arm of the table, as it reads."""

    title: str
    subtitle: str
    kind: str
    cells: tuple[str, ...]


class RuleLine(Value, frozen=True):
    """One rule: what it says, why, what it was learnt from and what it did."""

    text: str
    reason: str
    evidence: str
    effect: str


class ShownReply(Value, frozen=True):
    """What one arm replied."""

    who: str
    text: str
    right: bool


class Changed(Value, frozen=True):
    """One example with the replies to it."""

    input: str
    expected: str
    replies: tuple[ShownReply, ...]


class ExampleSection(Value, frozen=True):
    """Examples under a heading."""

    title: str
    count: int
    examples: tuple[Changed, ...]


class Candidate(Value, frozen=True):
    """One rule set that was tried: where it lies in the plane of quality and tokens, and what it was."""

    point: Point
    what: str
    examples: int


class Report(Value, frozen=True):
    """Everything that a page shows, in its order."""

    title: str
    answer: str
    """The question's answer in one sentence."""
    notes: tuple[str, ...]
    """What must be known to read the numbers."""
    measures: tuple[str, ...]
    """Row headings of the table of arms."""
    columns: tuple[Column, ...]
    quality: tuple[Interval, ...]
    tokens: tuple[Bar, ...]
    money: tuple[Bar, ...]
    verdicts: tuple[Fact, ...]
    """What was asked, and what the answer is."""
    form: str
    rules: tuple[RuleLine, ...]
    blocks: tuple[ExampleSection, ...]
    tried: tuple[Candidate, ...]
    """Everything that ran on selection examples, the fewest tokens first."""
    refused: tuple[Fact, ...]
    """What was tried or proposed and not taken, and why."""
    facts: tuple[Fact, ...]
    """How it was measured."""


def seconds(value: float) -> str:
    """A latency for people."""
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def change(interval: tuple[float, float]) -> str:
    """An interval of a change in accuracy (shares) for people."""
    return f"95% interval of the change {100 * interval[0]:+.1f} to {100 * interval[1]:+.1f} points"


def sentence(note: str) -> str:
    """A note at the beginning of a sentence."""
    return note[:1].upper() + note[1:]
