"""The half of the SQL store that watches: exchanges without their texts, and judgements in the order of arrival.

Each public method is one transaction.
"""

from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from gateway.domain import Feedback, Usage
from gateway.store.base import Arrived, Judged, Observed, since_then
from gateway.store.database import Database
from gateway.store.dialects import POSITION
from gateway.store.rows import feedback_of
from gateway.store.schema import exchanges, feedback
from gateway.store.sql_exchanges import has_precedence, prefixed

_OBSERVED = (
    "id", "created", "model", "arm", "rules", "status", "latency_ms", "prompt_tokens", "output_tokens",
    "key", "tenant", "cluster", "cost_usd", "audit_rate",
)  # fmt: skip
_OUTCOMES = feedback.alias("outcomes")
_SIGNS = (
    sa.select(_OUTCOMES.c.comment)
    .where(_OUTCOMES.c.exchange_id == exchanges.c.id, _OUTCOMES.c.source == "outcome")
    .limit(1)
    .scalar_subquery()
    .label("signals")
)


class SqlObservations:
    """Exchanges and judgements for the watch; see ``gateway.store.base.Store``."""

    _database: Database

    def observed(self, task: str, *, since: float, limit: int) -> list[Observed]:
        statement = (
            sa.select(*(exchanges.c[name] for name in _OBSERVED), _SIGNS, *prefixed())
            .select_from(exchanges)
            .outerjoin(feedback, sa.and_(feedback.c.exchange_id == exchanges.c.id, has_precedence()))
            .where(exchanges.c.task == task)
            .order_by(POSITION.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            rows = since_then(connection.execute(statement).all(), since, attrgetter("created"))
        return [_observed(row, feedback_of(row._mapping) if row.feedback_id else None) for row in reversed(rows)]

    def judged(self, task: str, after: int | None, *, limit: int) -> tuple[list[Judged], int]:
        newest = sa.select(sa.func.coalesce(sa.func.max(feedback.c.id), 0))
        with self._database.read() as connection:
            end = connection.execute(newest).scalar_one()
            start = max(0, end - limit) if after is None else after
            statement: sa.Select[Any] = (
                sa.select(*(exchanges.c[name] for name in _OBSERVED), _SIGNS, *prefixed())
                .join(feedback, feedback.c.exchange_id == exchanges.c.id)
                .where(feedback.c.id > start, feedback.c.task == task, feedback.c.source != "outcome", _is_first())
                .order_by(feedback.c.id)
                .limit(limit)
            )
            rows = connection.execute(statement).all()
        judged, position = list[Judged](), start
        for row in rows:
            given = feedback_of(row._mapping)
            if given.is_correct is None and given.expected is not None and given.verdict_at is None:
                return judged, position
            position = row.feedback_id
            if given.is_correct is not None:
                judged.append(Judged(exchange=_observed(row, given), feedback=given))
        return judged, position if len(rows) == limit else max(position, end)

    def judgements(self, after: int, *, limit: int) -> list[Arrived]:
        statement: sa.Select[Any] = (
            sa.select(*(exchanges.c[name] for name in _OBSERVED), _SIGNS, *prefixed())
            .join(feedback, feedback.c.exchange_id == exchanges.c.id)
            .where(feedback.c.id > after, feedback.c.task.is_not(None), feedback.c.source != "outcome", _is_first())
            .order_by(feedback.c.id)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [_arrived(row) for row in connection.execute(statement)]


def _arrived(row: sa.Row[Any]) -> Arrived:
    given = feedback_of(row._mapping)
    return Arrived(exchange=_observed(row, given), feedback=given, position=row.feedback_id, task=row.feedback_task)


def _observed(row: sa.Row[Any], given: Feedback | None) -> Observed:
    return Observed(
        id=row.id,
        created=row.created,
        model=row.model,
        arm=row.arm,
        rules=row.rules,
        status=row.status,
        latency_ms=row.latency_ms,
        usage=Usage(prompt_tokens=row.prompt_tokens, output_tokens=row.output_tokens),
        key=row.key,
        tenant=row.tenant,
        cluster=row.cluster,
        cost_usd=row.cost_usd,
        audit_rate=row.audit_rate,
        correct=given.is_correct if given is not None else None,
        source=given.source if given is not None else None,
        signals=row.signals or "",
    )


def _is_first() -> sa.ColumnElement[bool]:
    """Return the condition for the first judgement of its kind on an exchange: a client's, or any other."""
    other = feedback.alias()
    return ~sa.exists().where(
        other.c.exchange_id == feedback.c.exchange_id,
        other.c.id < feedback.c.id,
        other.c.source != "outcome",
        (other.c.source == "client") == (feedback.c.source == "client"),
    )
