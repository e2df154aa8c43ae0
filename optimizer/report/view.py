"""The contents of a report as values. ``distilled`` and ``migrated`` make them, ``page`` shows them."""

from gateway.domain import Value
from gateway.proof import PromisedGain
from optimizer.report.charts import Bar, Interval, Point

Fact = tuple[str, str]
"""A name with its text: a question and its answer, a thing and its value."""


class Column(Value, frozen=True):
    """One arm of the table, as text."""

    title: str
    subtitle: str
    kind: str
    cells: tuple[str, ...]


class RuleLine(Value, frozen=True):
    """One rule: its text, its reason, its origin, and its measured effect."""

    text: str
    reason: str
    evidence: str
    effect: str


class ShownReply(Value, frozen=True):
    """The reply of one arm."""

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
    """One candidate rule set: its quality and tokens, and a description."""

    point: Point
    what: str
    examples: int


class Report(Value, frozen=True):
    """All contents of a page, in order."""

    title: str
    answer: str
    """The question's answer in one sentence."""
    notes: tuple[str, ...]
    """Caveats for reading the numbers."""
    measures: tuple[str, ...]
    """Row headings of the table of arms."""
    columns: tuple[Column, ...]
    quality: tuple[Interval, ...]
    tokens: tuple[Bar, ...]
    money: tuple[Bar, ...]
    verdicts: tuple[Fact, ...]
    """The questions with their answers."""
    form: str
    rules: tuple[RuleLine, ...]
    blocks: tuple[ExampleSection, ...]
    tried: tuple[Candidate, ...]
    """All candidates on the selection examples, the fewest tokens first."""
    refused: tuple[Fact, ...]
    """Rejected rules and candidates, with the reason."""
    facts: tuple[Fact, ...]
    """The provenance of the numbers."""


def seconds(value: float) -> str:
    """Format a latency for people."""
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def change(interval: tuple[float, float], promised: PromisedGain | None = None) -> str:
    """Format the interval of a change in accuracy (shares) for people; of an adopted change what is promised."""
    if promised is not None:
        low, high = promised.interval
        return (
            f"promised is a gain of {100 * promised.gain:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}), what was"
            " measured less what selection and early stopping add"
        )
    return f"95% interval of the change {100 * interval[0]:+.1f} to {100 * interval[1]:+.1f} points"


def sentence(note: str) -> str:
    """Begin a note with a capital letter."""
    return note[:1].upper() + note[1:]
