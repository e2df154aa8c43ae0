"""``/admin/spend``: the command ``preceptor spend`` over HTTP."""

import asyncio
import datetime as dt
from typing import Any

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from gateway import issued_keys
from gateway.errors import BadRequest
from gateway.services import Services
from gateway.spending.book import day_of
from gateway.spending.report import BY, By, lines, read_days, total

_MOST_DAYS = 3660


@get("/spend")
async def show_spend(
    services: NamedDependency[Services],
    by: FromQuery[str] = "key",
    days: FromQuery[int] = 30,
    key: FromQuery[str | None] = None,
    task: FromQuery[str | None] = None,
) -> dict[str, Any]:
    """Return requests, tokens, money and savings of the last days, by key, owner, task, arm or model."""
    if not 1 <= days <= _MOST_DAYS:
        raise BadRequest(f"days must be between 1 and {_MOST_DAYS}.", param="days")
    chosen: By | None = next((name for name in BY if name == by), None)
    if chosen is None:
        raise BadRequest(f"by must be one of {', '.join(BY)}.", param="by")
    today = day_of(services.wall_clock())
    first = (dt.date.fromisoformat(today) - dt.timedelta(days=days - 1)).isoformat()
    stored = await asyncio.to_thread(read_days, services.store, first, today)
    made = lines(stored, chosen, issued_keys.owners(services.settings.keys, services.issued), key=key, task=task)
    return {
        "from": first,
        "until": today,
        "by": by,
        "lines": msgspec.to_builtins(made),
        "total": msgspec.to_builtins(total(made)),
    }
