"""The exhibit of an induction call: records, labels and tools as the strong model sees them.

All of it is data by users: secrets are redacted, tags in it cannot close ours, and a record is shortened only if the
whole does not fit the characters of the call. Mistakes come in clusters of the same confusion, each beside its nearest
success. Does not call a model.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from gateway.domain import Value
from optimizer.dataset.items import Item, Mistake
from optimizer.dataset.recorded_request import read_request
from optimizer.dataset.redact import redacted
from optimizer.grading.graders.ungradable import text_of

LEAST_SHOWN = 200
"""Characters of a shortened record; rather fewer records than shorter ones."""
_TAGS = re.compile(
    r"[<\uff1c](?=\s*/?\s*(?:instruction|mistake|success|record|labels|tools|rules|refused|question|reply|expected"
    r"|remark)\b)",
    re.IGNORECASE,
)


class Record(Value, frozen=True):
    """A question with its right answer, the weak model's reply if it is known, and remarks on that reply."""

    question: str
    expected: str
    reply: str | None = None
    right: bool = False
    remark: str = ""

    @property
    def size(self) -> int:
        """Characters of the texts."""
        return len(self.question) + len(self.expected) + len(self.reply or "") + len(self.remark)


def record_of(mistake: Mistake, *, right: bool = False) -> Record:
    """Return a weak model's reply, redacted, as a record."""
    expected = "(not known, but the reply was called wrong)" if mistake.expected is None else text_of(mistake.expected)
    question, reply, expected, remark = redacted(
        read_request(mistake.request).transcript, mistake.reply, expected, mistake.remark.text
    )
    return Record(question=question, expected=expected, reply=reply, right=right, remark=remark)


def labelled_record(item: Item) -> Record:
    """Return a labelled item without a reply, redacted, as a record."""
    question, expected = redacted(read_request(item.request).transcript, text_of(item.expected))
    return Record(question=question, expected=expected)


def clustered(mistakes: Sequence[Record], successes: Sequence[Record]) -> list[Record]:
    """Order mistakes by confusion, the most frequent first; each success stands behind the mistake nearest to it."""
    if not mistakes:
        return list(successes)
    clusters: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, mistake in enumerate(mistakes):
        clusters[mistake.expected, mistake.reply or ""].append(place)
    texts = [_trigrams(mistake.question) for mistake in mistakes]
    beside: dict[int, list[Record]] = defaultdict(list)
    for success in successes:
        own = _trigrams(success.question)
        beside[max(range(len(texts)), key=lambda place: _likeness(own, texts[place]))].append(success)
    order = [place for cluster in sorted(clusters.values(), key=len, reverse=True) for place in cluster]
    return [record for place in order for record in (mistakes[place], *beside[place])]


def by_label(records: Sequence[Record]) -> list[Record]:
    """Deal records out so that every label comes early: the first record of each label, then the second, ..."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[record.expected].append(record)
    return [record for turn in zip_longest(*groups.values()) for record in turn if record is not None]


def shown_records(records: Sequence[Record], characters: int) -> str:
    """Return as many records as fit into so many characters, in their order; long ones are shortened in the middle.

    A record's room is an equal share of the characters, but not less than ``LEAST_SHOWN``; room that short records
    leave goes to the long ones.
    """
    if not records:
        return ""
    count = min(len(records), max(1, characters // LEAST_SHOWN))
    chosen = records[:count]
    room = _fair_room([record.size for record in chosen], characters)
    return "\n\n".join(_shown(record, room) for record in chosen)


def shown_tools(requests: Sequence[bytes], characters: int) -> str:
    """Return the tools that the requests offer, each once, with description and arguments."""
    tools = {tool.name: tool for request in requests for tool in read_request(request).tools}
    if not tools:
        return ""
    room = characters // len(tools)
    lines = [as_data(f"{tool.name}: {tool.description} {tool.parameters}".strip(), room) for tool in tools.values()]
    return "<tools>\n" + "\n".join(lines) + "\n</tools>"


def as_data(text: str, room: int) -> str:
    """Return a text that cannot close the tags around it, shortened in the middle to so many characters."""
    return _TAGS.sub("&lt;", clipped(text, room))


def clipped(text: str, room: int) -> str:
    """Shorten a text in the middle to about so many characters."""
    if len(text) <= room:
        return text
    half = max(1, (room - 5) // 2)
    return f"{text[:half]} ... {text[-half:]}"


def _shown(record: Record, room: int) -> str:
    """A record in tags; one that does not fit its room gives half of it to the question, a quarter to each answer."""
    half, quarter = (record.size, record.size) if record.size <= room else (room // 2, room // 4)
    parts = [f"<question>{as_data(record.question, half)}</question>"]
    if record.reply is not None:
        state = " (right)" if record.right else ""
        parts.append(f"<reply>{as_data(record.reply, quarter)}{state}</reply>")
    parts.append(f"<expected>{as_data(record.expected, quarter)}</expected>")
    if record.remark:
        parts.append(f"<remark>{as_data(record.remark, quarter)}</remark>")
    return "<record>\n" + "\n".join(parts) + "\n</record>"


def _fair_room(sizes: Sequence[int], characters: int) -> int:
    """The largest equal bound for each size, so that all bounded sizes together fit the characters."""
    left, waiting = characters, sorted(sizes)
    for place, size in enumerate(waiting):
        share = left // (len(waiting) - place)
        if size > share:
            return max(share, LEAST_SHOWN)
        left -= size
    return max(waiting, default=0) + 1


def _likeness(first: frozenset[str], second: frozenset[str]) -> float:
    """Share of common trigrams, 0 to 1."""
    return len(first & second) / max(1, len(first | second))


def _trigrams(text: str) -> frozenset[str]:
    plain = " ".join(text.casefold().split())[:2000]
    return frozenset(plain[start : start + 3] for start in range(max(1, len(plain) - 2)))


def listing(rules: Sequence[Any]) -> str:
    """Return rules as numbered lines."""
    texts = (f"(when {rule.when}) {rule.text}" if rule.when else rule.text for rule in rules)
    return "\n".join(f"{number}. {as_data(text, 1000)}" for number, text in enumerate(texts, 1))
