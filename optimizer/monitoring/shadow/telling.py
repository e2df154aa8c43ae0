"""Telling requests: the two versions of a comparison answer them differently, so a label says most there. Pure.

Where both answers are equal, both are right or both are wrong, whoever labels: such a request counts as no difference,
and nobody need look. So 50 labels of one day tell as much as a week of 50 labels a day at random. Requests are drawn
outside of the audit sample, whatever their outcome: their labels compare versions and teach, and measure no rate. A
labelled one brings as many equal ones along as there were for each that differed, so the share of differences stays
true however few are labelled. A conversation counts by that request or by its other labels, never by both: a mean of
both would be smaller where the answers differ, and where they are equal there is none.
"""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from gateway.domain import Value
from gateway.store.notes import Note

MOST = 500
"""Telling requests that wait for a label, the newest."""
PEOPLE_S = 14 * 86400.0
"""Seconds after a label of the queue within which somebody is expected to label more."""
_RECENT = 1000
"""Conversations that are remembered: four days of them by the default number of calls."""

T = TypeVar("T")


class TellingBook(Value, frozen=True):
    """The requests of a task that both versions answered before anybody labelled them."""

    of: str = ""
    """The comparison; another one begins anew."""
    until: float = 0.0
    """Time of the newest request looked at, in seconds since the epoch."""
    waiting: tuple[str, ...] = ()
    """Ids of telling exchanges without a label."""
    recent: tuple[str, ...] = ()
    """The newest conversations of which a request was looked at: one of each is."""
    by_label: tuple[str, ...] = ()
    """The newest conversations that count by labels at random: none of their requests is looked at."""
    differed: int = 0
    agreed: int = 0
    labelled: int = 0
    """Of those that differed."""
    counted: int = 0
    """Of those that agreed."""
    people_at: float | None = None
    """Time of the newest label of the queue."""

    def begun(self, of: str, now: float) -> "TellingBook":
        """Return the book of a comparison; a clock that went back begins now."""
        if self.of == of:
            return msgspec.structs.replace(self, until=min(self.until, now))
        return TellingBook(of=of, until=now, people_at=self.people_at)

    def expects_people(self, now: float) -> bool:
        """Decide whether somebody works on the label queue."""
        return self.people_at is not None and abs(now - self.people_at) <= PEOPLE_S

    def looked_at(self, exchange_id: str, unit: str, *, equal: bool | None) -> "TellingBook":
        """Return the book after both answers to a request; ``None``: nobody can compare them."""
        recent = (*self.recent, unit)[-_RECENT:]
        if equal is None:
            return msgspec.structs.replace(self, recent=recent)
        if equal:
            return msgspec.structs.replace(self, recent=recent, agreed=self.agreed + 1)
        return msgspec.structs.replace(
            self, recent=recent, waiting=(*self.waiting, exchange_id)[-MOST:], differed=self.differed + 1
        )

    def is_new(self, unit: str) -> bool:
        """Decide whether a request of a conversation may be looked at."""
        return unit not in self.recent and unit not in self.by_label

    def with_unit(self, unit: str) -> "TellingBook":
        """Return the book after a label at random in a conversation."""
        return msgspec.structs.replace(self, by_label=(*self.by_label, unit)[-_RECENT:])

    def lines(self) -> list[str]:
        """Return what people should know of it: a line, or none."""
        n = len(self.waiting)
        return [f"two versions are compared, and {n:,} requests that they answer differently come first"] if n else []

    def with_label(self, exchange_id: str, *, usable: bool) -> tuple["TellingBook", int]:
        """Return the book after a label, and the number of requests with equal answers that count along with it.

        Without ``usable`` the label names no right answer.
        """
        if exchange_id not in self.waiting:
            return self, 0
        waiting = tuple(known for known in self.waiting if known != exchange_id)
        if not usable:
            return msgspec.structs.replace(self, waiting=waiting), 0
        labelled = self.labelled + 1
        due = max(0, self.agreed * labelled // self.differed - self.counted)
        book = msgspec.structs.replace(self, waiting=waiting, labelled=labelled, counted=self.counted + due)
        return book, due


TELLING = Note("telling", TellingBook)


def telling_first(telling: Sequence[T], others: Sequence[T]) -> list[T]:
    """Return a queue in which two of three places are for telling requests, as long as there are any.

    The third place keeps the audit sample measured.
    """
    queue, rest = list[T](), list(others)
    for place, request in enumerate(telling):
        queue.append(request)
        if place % 2 and rest:
            queue.append(rest.pop(0))
    return queue + rest
