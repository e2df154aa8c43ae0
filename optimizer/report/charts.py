"""Charts as inline SVG: widths in percent and text in pixels, to fit a phone, a screen and a page.

Each has a title and a description for screen readers; a table beside it repeats the numbers.
"""

from collections.abc import Sequence
from itertools import pairwise

from gateway.domain import Value
from optimizer.report.markup import Child, Html, element

_ROW = 44
"""Pixels per row of a bar or interval chart."""
_AXIS = 24
_LEFT, _WIDE = 2.0, 96.0
"""Percent of the width before 0, and between 0 and the end of the scale."""
_PLOT = 240
"""Pixels of height of the plot of quality against tokens."""


class Interval(Value, frozen=True):
    """One row: a share in 0..1 with its interval. ``kind`` is the colour's class."""

    label: str
    value: float
    low: float
    high: float
    kind: str


class Bar(Value, frozen=True):
    """One row: an amount, and its text."""

    label: str
    amount: float
    shown: str
    kind: str


class Point(Value, frozen=True):
    """One candidate: tokens per reply, share right in 0..1; on the frontier if no other is better in both."""

    label: str
    tokens: float
    quality: float
    kind: str
    frontier: bool


def intervals(title: str, rows: Sequence[Interval]) -> Html:
    """Draw shares with their 95% intervals on a scale from 0 to 100%."""
    height = _ROW * len(rows) + _AXIS
    description = "; ".join(f"{row.label} {row.value:.0%}, {row.low:.0%} to {row.high:.0%}" for row in rows)
    return _chart(
        title, description, height,
        [_grid(share, height) for share in (0.0, 0.25, 0.5, 0.75, 1.0)],
        [_interval(row, index * _ROW) for index, row in enumerate(rows)],
    )  # fmt: skip


def _interval(row: Interval, top: float) -> list[Html]:
    middle = top + 30
    return [
        element("text", row.label, x=_at(0), y=top + 15),
        element("text", f"{row.value:.0%}  ({row.low:.0%} to {row.high:.0%})", x=_at(1), y=top + 15, class_="end"),
        element("line", x1=_at(row.low), x2=_at(row.high), y1=middle, y2=middle, class_=f"whisker {row.kind}"),
        *(
            element("line", x1=_at(end), x2=_at(end), y1=middle - 5, y2=middle + 5, class_=f"cap {row.kind}")
            for end in (row.low, row.high)
        ),
        element("circle", cx=_at(row.value), cy=middle, r=6, class_=row.kind),
    ]


def bars(title: str, rows: Sequence[Bar]) -> Html:
    """Draw amounts, the largest as wide as the chart."""
    most = max((row.amount for row in rows), default=0.0) or 1.0
    return _chart(
        title, "; ".join(f"{row.label} {row.shown}" for row in rows), _ROW * len(rows) + 4,
        [
            [
                element("text", row.label, x=_at(0), y=index * _ROW + 15),
                element("text", row.shown, x=_at(1), y=index * _ROW + 15, class_="end"),
                element(
                    "rect", x=_at(0), y=index * _ROW + 22, width=f"{_WIDE * max(0.0, row.amount) / most:.2f}%",
                    height=14, rx=2, class_=row.kind,
                ),
            ]
            for index, row in enumerate(rows)
        ],
    )  # fmt: skip


def plane(title: str, points: Sequence[Point]) -> Html:
    """Draw quality against tokens; a line joins the points of the frontier."""
    most = 1.08 * max((point.tokens for point in points), default=0.0) or 1.0
    best = sorted((point for point in points if point.frontier), key=lambda point: point.tokens)
    description = "; ".join(f"{point.label}: {point.quality:.0%} at {point.tokens:.0f} tokens" for point in points)
    return _chart(
        title, description, _PLOT + 2 * _AXIS,
        [
            [
                element("line", x1=_at(0), x2=_at(1), y1=_up(share), y2=_up(share), class_="grid"),
                element("text", f"{share:.0%}", x=_at(0), y=_up(share) - 4, class_="axis"),
            ]
            for share in (0.0, 0.25, 0.5, 0.75, 1.0)
        ],
        element("text", "0", x=_at(0), y=_PLOT + 34, class_="axis"),
        element("text", f"{most:,.0f} tokens per call", x=_at(1), y=_PLOT + 34, class_="axis end"),
        [
            element(
                "line", x1=_at(left.tokens / most), y1=_up(left.quality), x2=_at(right.tokens / most),
                y2=_up(right.quality), class_="frontier",
            )
            for left, right in pairwise(best)
        ],
        [
            element("circle", cx=_at(point.tokens / most), cy=_up(point.quality), r=6, class_=point.kind)
            for point in points
        ],
        [_labels(together, most) for together in _neighbours(points, most)],
    )  # fmt: skip


def _neighbours(points: Sequence[Point], most: float) -> list[list[Point]]:
    """Group the points with labels on top of each other."""
    groups: dict[tuple[int, int], list[Point]] = {}
    for point in points:
        groups.setdefault((round(25 * point.tokens / most), round(_up(point.quality) / 16)), []).append(point)
    return list(groups.values())


def _labels(together: Sequence[Point], most: float) -> Html:
    highest = max(together, key=lambda point: point.quality)
    return element(
        "text", ", ".join(point.label for point in together), x=_at(highest.tokens / most), y=_up(highest.quality) - 10,
        class_=f"point{' end' if highest.tokens > most / 2 else ''}",
    )  # fmt: skip


def _chart(title: str, description: str, height: float, *content: Child) -> Html:
    return element(
        "svg", element("title", title), element("desc", description), *content,
        width="100%", height=height, role="img", aria_label=f"{title}: {description}",
    )  # fmt: skip


def _grid(share: float, height: float) -> list[Html]:
    end = " end" if share == 1 else " middle" if share else ""
    return [
        element("line", x1=_at(share), x2=_at(share), y1=0, y2=height - _AXIS + 4, class_="grid"),
        element("text", f"{share:.0%}", x=_at(share), y=height - 6, class_=f"axis{end}"),
    ]


def _at(share: float) -> str:
    return f"{_LEFT + _WIDE * min(1.0, max(0.0, share)):.2f}%"


def _up(quality: float) -> float:
    return round(_AXIS + (_PLOT - _AXIS) * (1 - quality), 1)
