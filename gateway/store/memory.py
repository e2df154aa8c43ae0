"""A store in memory for tests, ours and users': the SQL store's contract, gone with the process."""

from collections.abc import Callable, Sequence
from operator import attrgetter

import msgspec

from gateway.domain import (
    SOURCES,
    Arm,
    Exchange,
    Feedback,
)
from gateway.errors import Conflict
from gateway.store.base import (
    AUTOMATIC,
    MAX_FEEDBACK,
    MAX_FEEDBACK_OF_ALL,
    WITHHELD,
    Arrived,
    Audited,
    Disputed,
    Graded,
    Judged,
    Observed,
    TaskCounts,
    since_then,
)
from gateway.store.memory_listings import MemoryListings
from gateway.store.rows import NO_CONTENT, encode_expected, exchange_of, exchange_row
from gateway.store.selection import (
    Address,
    Selection,
    fitting,
    page_of,
    selects,
    shadow_id,
    size_of,
)

_created = attrgetter("created")


class MemoryStore(MemoryListings):
    """``gateway.store.base.Store`` over dictionaries and lists, one lock around each method."""

    def __init__(self) -> None:
        super().__init__()
        self._judgements: list[Feedback] = []
        """In the order of arrival."""
        self._feedback: dict[str, list[int]] = {}
        """Indexes of an exchange's judgements."""

    def record(self, batch: Sequence[Exchange]) -> None:
        with self._lock:
            for exchange in batch:
                if exchange.id not in self._exchanges:
                    self._exchanges[exchange.id] = exchange
                    self._positions[exchange.id] = self._newest() + 1

    def _newest(self) -> int:
        """Return the position of the exchange recorded last."""
        return next(reversed(self._positions.values()), 0)

    def add_feedback(self, feedback: Feedback) -> bool:
        with self._lock:
            if feedback.exchange_id not in self._exchanges:
                return False
            exchange = self._exchanges[feedback.exchange_id]
            if exchange.arm == "shadow" and feedback.source == "client":
                return False
            if exchange.reply is None and exchange.request == b"{}":
                raise Conflict(WITHHELD, param="id", code="exchange_withheld")
            given = self._given(feedback.exchange_id)
            if feedback.source in AUTOMATIC and any(other.source == feedback.source for other in given):
                return True
            of_sender = sum(_sender(other) == _sender(feedback) for other in given)
            if of_sender >= MAX_FEEDBACK or len(given) >= MAX_FEEDBACK_OF_ALL:
                raise Conflict(f"exchange {feedback.exchange_id!r} has feedback enough", param="id")
            self._feedback.setdefault(feedback.exchange_id, []).append(len(self._judgements))
            self._judgements.append(feedback)
            return True

    def feedback_on(self, exchange_id: str) -> list[Feedback]:
        with self._lock:
            return self._given(exchange_id)

    def _given(self, exchange_id: str) -> list[Feedback]:
        return [self._judgements[index] for index in self._feedback.get(exchange_id, ())]

    def _counting(self, exchange_id: str) -> int:
        """Return the index of the judgement with precedence: by source, then the last to arrive."""
        return max(
            self._feedback[exchange_id], key=lambda index: (-SOURCES.index(self._judgements[index].source), index)
        )

    def find(self, address: Address) -> str | None:
        with self._lock:
            ids = [
                exchange.id
                for exchange in self._exchanges.values()
                if (exchange.id == address.id if address.id is not None else exchange.ref == address.ref is not None)
                and exchange.arm != "shadow"
                and (address.any_key or exchange.key in (None, address.key))
            ]
        return ids[-1] if ids else None

    def exchange(self, exchange_id: str) -> Exchange | None:
        with self._lock:
            return self._exchanges.get(exchange_id)

    def graded(self, task: str, *, limit: int, max_bytes: int | None = None) -> list[Graded]:
        with self._lock:
            counting = {
                id_: self._counting(id_)
                for id_ in self._feedback
                if (self._exchanges[id_].task, self._exchanges[id_].status) == (task, "ok")
            }
            newest = self._fitting(sorted(counting, key=counting.__getitem__, reverse=True)[:limit], max_bytes)
            return [
                Graded(exchange=self._exchanges[id_], feedback=self._judgements[counting[id_]])
                for id_ in sorted(newest, key=self._positions.__getitem__, reverse=True)
            ]

    def _fitting(self, ids: list[str], max_bytes: int | None) -> list[str]:
        if max_bytes is None:
            return ids
        return fitting([(id_, size_of(self._exchanges[id_])) for id_ in ids], max_bytes)

    def ungraded(self, *, limit: int) -> list[Graded]:
        with self._lock:
            waiting = [
                Graded(exchange=self._exchanges[feedback.exchange_id], feedback=feedback)
                for feedback in self._judgements
                if feedback.exchange_id in self._feedback
                and feedback.source not in AUTOMATIC
                and feedback.expected is not None
                and feedback.verdict_at is None
            ]
        return page_of(waiting[:limit], lambda entry: size_of(entry.exchange))

    def put_verdict(self, feedback: Feedback, verdict: float | None, *, at: float) -> bool:
        expected = encode_expected(feedback.expected)
        with self._lock:
            same = [
                index
                for index in self._feedback.get(feedback.exchange_id, ())
                if expected is not None and encode_expected(self._judgements[index].expected) == expected
            ]
            for index in same:
                graded = msgspec.structs.replace(self._judgements[index], verdict=verdict, verdict_at=at)
                self._judgements[index] = graded
            return bool(same)

    def audited(self, task: str, *, since: float, limit: int, max_bytes: int | None = None) -> list[Audited]:
        with self._lock:
            drawn = self._of(lambda exchange: exchange.task == task and exchange.audit_rate > 0)[::-1][:limit]
            kept = frozenset(self._fitting([exchange.id for exchange in drawn], max_bytes))
            drawn = [exchange for exchange in drawn if exchange.id in kept]
            return [
                Audited(
                    exchange=exchange,
                    feedback=tuple(self._given(exchange.id)),
                    shadow=self._graded(shadow_id(exchange.id)),
                )
                for exchange in since_then(drawn, since, _created)
            ]

    def _graded(self, exchange_id: str) -> Graded | None:
        """Return an exchange with the judgement that counts, if it has any."""
        if exchange_id not in self._feedback:
            return None
        judgement = self._judgements[self._counting(exchange_id)]
        return Graded(exchange=self._exchanges[exchange_id], feedback=judgement)

    def disputed(self, task: str, *, limit: int) -> list[Disputed]:
        with self._lock:
            newest_first = sorted(self._feedback, key=lambda id_: self._feedback[id_][-1], reverse=True)
            disputed = [
                Disputed(exchange_id=id_, feedback=tuple(self._given(id_)))
                for id_ in newest_first
                if self._exchanges[id_].task == task and _is_disputed(self._given(id_))
            ]
        return disputed[:limit]

    def recorded(self, after: int, *, limit: int) -> tuple[list[Exchange], int]:
        return self._read_on(lambda _: True, after, limit)

    def select(self, selection: Selection, after: int, *, limit: int) -> tuple[list[Exchange], int]:
        return self._read_on(lambda exchange: selects(selection, exchange), after, limit)

    def _read_on(self, wanted: Callable[[Exchange], bool], after: int, limit: int) -> tuple[list[Exchange], int]:
        with self._lock:
            rest = self._of(lambda exchange: self._positions[exchange.id] > after and wanted(exchange))
            page = page_of(rest[:limit], size_of)
            return page, self._positions[page[-1].id] if page else after

    def observed(self, task: str, *, since: float, limit: int) -> list[Observed]:
        with self._lock:
            newest = self._of(lambda exchange: exchange.task == task)[::-1][:limit]
            return [
                _observed(exchange, self._with_precedence(exchange.id), _signs_in(self._given(exchange.id)))
                for exchange in reversed(since_then(newest, since, _created))
            ]

    def _with_precedence(self, exchange_id: str) -> Feedback | None:
        return self._judgements[self._counting(exchange_id)] if self._given(exchange_id) else None

    def judged(self, task: str, after: int | None, *, limit: int) -> tuple[list[Judged], int]:
        judged = list[Judged]()
        with self._lock:
            position = max(0, len(self._judgements) - limit) if after is None else after
            for index in range(position, len(self._judgements)):
                given = self._judgements[index]
                exchange = self._exchanges.get(given.exchange_id)
                if exchange is not None and exchange.task == task and self._is_first(index):
                    if given.is_correct is not None:
                        signs = _signs_in(self._given(exchange.id))
                        judged.append(Judged(exchange=_observed(exchange, given, signs), feedback=given))
                    elif given.expected is not None and given.verdict_at is None:
                        break
                position = index + 1
                if len(judged) == limit:
                    break
        return judged, position

    def judgements(self, after: int, *, limit: int) -> list[Arrived]:
        arrived = list[Arrived]()
        with self._lock:
            for index, given in enumerate(self._judgements[after:], start=after):
                exchange = self._exchanges.get(given.exchange_id)
                if exchange is not None and exchange.task is not None and self._is_first(index):
                    seen = _observed(exchange, given, _signs_in(self._given(exchange.id)))
                    arrived.append(Arrived(exchange=seen, feedback=given, position=index + 1, task=exchange.task))
        return arrived[:limit]

    def _is_first(self, index: int) -> bool:
        """Decide whether a judgement is the first of its kind on an exchange: of a client, or of others; no outcome."""
        given = self._judgements[index]
        kinds = [
            (self._judgements[other].source == "client", other)
            for other in self._feedback.get(given.exchange_id, ())
            if self._judgements[other].source != "outcome"
        ]
        kind = given.source == "client"
        return given.source != "outcome" and index == min(other for of, other in kinds if of == kind)

    def answered(self, task: str, *, arm: Arm, limit: int) -> list[Exchange]:
        with self._lock:
            answers = self._of(lambda exchange: (exchange.task, exchange.arm, exchange.status) == (task, arm, "ok"))
        return answers[::-1][:limit]

    def unclaimed(self, *, limit: int) -> list[Exchange]:
        with self._lock:
            learnable = self._of(
                lambda exchange: (exchange.task, exchange.status) == (None, "ok") and exchange.request != b"{}"
            )
        return learnable[::-1][:limit]

    def _of(self, wanted: Callable[[Exchange], bool]) -> list[Exchange]:
        """Return exchanges in the order of recording."""
        return [exchange for exchange in self._exchanges.values() if wanted(exchange)]

    def forget(self, before: float, *, limit: int) -> int:
        with self._lock:
            newest = self._newest()
            old = sorted(
                self._of(lambda exchange: exchange.created < before and self._positions[exchange.id] < newest),
                key=_created,
            )[:limit]
            self._drop([exchange.id for exchange in old])
            for last in self._of(lambda exchange: exchange.created < before) if len(old) < limit else ():
                self._empty(last.id)
            return len(old)

    def size(self) -> int:
        with self._lock:
            return sum(len(exchange.request) + len(exchange.reply or "") for exchange in self._exchanges.values())

    def delete(self, ids: Sequence[str]) -> int:
        with self._lock:
            known = [id_ for id_ in ids if id_ in self._exchanges]
            meant = [id_ for id_ in [*ids, *map(shadow_id, ids)] if id_ in self._exchanges]
            last = next((id_ for id_ in meant if self._positions[id_] == self._newest()), None)
            if last is not None:
                self._empty(last)
            self._drop([id_ for id_ in meant if id_ != last])
            return len(known)

    def _empty(self, id_: str) -> None:
        self._exchanges[id_] = exchange_of({**exchange_row(self._exchanges[id_]), **NO_CONTENT})
        self._drop_feedback(id_)

    def _drop(self, ids: Sequence[str]) -> None:
        for id_ in ids:
            del self._exchanges[id_], self._positions[id_]
            self._drop_feedback(id_)

    def _drop_feedback(self, exchange_id: str) -> None:
        for index in self._feedback.pop(exchange_id, ()):
            self._judgements[index] = Feedback(exchange_id="", created=0.0)

    def flush_deleted(self) -> None:
        """Do nothing: there is no file."""

    def counts(self) -> dict[str, TaskCounts]:
        with self._lock:
            counts: dict[str, TaskCounts] = {}
            for exchange in self._exchanges.values():
                if exchange.task is not None and exchange.arm != "shadow":
                    before = counts.get(exchange.task, TaskCounts())
                    counts[exchange.task] = TaskCounts(
                        exchanges=before.exchanges + 1,
                        errors=before.errors + (exchange.status == "error"),
                        feedback=before.feedback + len(self._given(exchange.id)),
                        output_tokens=before.output_tokens + exchange.usage.output_tokens,
                        first_seen=min(before.first_seen or exchange.created, exchange.created),
                        last_seen=max(before.last_seen or exchange.created, exchange.created),
                    )
            return counts

    def close(self) -> None:
        """Do nothing: the content stays readable."""


def _sender(feedback: Feedback) -> tuple[str, str | None, str]:
    return feedback.source, feedback.key, feedback.labeller


def _is_disputed(given: Sequence[Feedback]) -> bool:
    of_people = [feedback for feedback in given if feedback.source not in AUTOMATIC]
    verdicts = {feedback.is_correct for feedback in of_people} - {None}
    return len(verdicts) > 1 or any(feedback.is_contradictory for feedback in of_people)


def _signs_in(given: Sequence[Feedback]) -> str:
    return next((feedback.comment or "" for feedback in given if feedback.source == "outcome"), "")


def _observed(exchange: Exchange, given: Feedback | None, signals: str) -> Observed:
    known = {name: getattr(exchange, name) for name in Observed.__struct_fields__ if hasattr(exchange, name)}
    if given is None:
        return Observed(**known)
    return Observed(**known, correct=given.is_correct, source=given.source, signals=signals)
