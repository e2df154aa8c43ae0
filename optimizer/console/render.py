"""Templates to HTML: everything is escaped, and numbers, times and money are worded in one place."""

import datetime as dt
from collections.abc import Mapping
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup

from optimizer.console import static
from optimizer.console.visit import address
from optimizer.report.markup import Html, seen

_SHOWN = 4000
"""Most characters of a text; a longer one is cut in the middle."""
_LINE = 160
_SPANS = ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"))


def render(template: str, values: Mapping[str, Any]) -> str:
    """Return a page."""
    page: str = _environment().get_template(template).render(values)
    return page


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("optimizer.console", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(static=static.link, to=address)
    environment.filters.update(
        ago=ago, chart=chart, count=count, day=day, line=line, money=money, percent=percent, points=points,
        span=span, text=text, time=time, title=title,
    )  # fmt: skip
    return environment


def text(value: str | None, most: int = _SHOWN) -> str:
    """Return a foreign text without invisible characters, cut in the middle."""
    shown = seen(value or "")
    if len(shown) <= most:
        return shown
    half = most // 2
    return f"{shown[:half]}\n[{len(shown) - most:,} characters left out]\n{shown[-half:]}"


def line(value: str | None, most: int = _LINE) -> str:
    """Return the beginning of a foreign text on one line."""
    start = " ".join(seen((value or "")[: 4 * most]).split())
    return start if len(start) <= most else start[: most - 1] + "…"


def title(value: str) -> str:
    """Begin with a capital letter."""
    return value[:1].upper() + value[1:]


def percent(share: float | None, digits: int = 0) -> str:
    """Return a share in percent."""
    return "\N{EN DASH}" if share is None else f"{100 * share:.{digits}f}%"


def points(change: float, digits: int = 0) -> str:
    """Return a change of a share in points, with its sign."""
    return f"{100 * change:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def count(number: float) -> str:
    """Return a number with separators."""
    return f"{number:,.0f}"


def money(usd: float | None) -> str:
    """Return an amount in USD: two digits that say something."""
    if usd is None:
        return "\N{EN DASH}"
    sign = "\N{MINUS SIGN}" if usd < 0 else ""
    amount = abs(usd)
    if 0 < amount < 0.0001:
        return "under $0.0001"
    digits = 2 if amount >= 0.1 or amount == 0 else 4
    return f"{sign}${amount:,.{digits}f}"


def span(seconds: float) -> str:
    """Return a duration in words, in its largest unit."""
    for size, name in _SPANS:
        if seconds >= size:
            number = round(seconds / size)
            return f"{number} {name}{'s' if number != 1 else ''}"
    return "under a minute"


def ago(then: float | None, now: float) -> str:
    """Return the time since an event in words."""
    if then is None:
        return "never"
    return "just now" if now - then < 60 else f"{span(now - then)} ago"


def time(seconds: float | None) -> str:
    """Return a time in UTC."""
    return "\N{EN DASH}" if seconds is None else f"{_moment(seconds):%Y-%m-%d %H:%M} UTC"


def day(seconds: float) -> str:
    """Return a date in UTC."""
    return f"{_moment(seconds):%Y-%m-%d}"


def chart(drawn: Html) -> Markup:
    """Return a chart of ours as markup."""
    return Markup(drawn.text)  # noqa: S704  # ``Html`` is made by ``markup.element`` only, which escapes every text


def _moment(seconds: float) -> dt.datetime:
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (OverflowError, OSError, ValueError):
        return dt.datetime.fromtimestamp(0, dt.UTC)
