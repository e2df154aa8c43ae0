"""Charts of the console as SVG: quality over time, and evidence between fine and harm. Pure.

Each has a description for screen readers. A table beside it has the numbers.
"""

import math
from collections.abc import Sequence

from gateway.domain import Value
from optimizer.console.shares import Share, share_of
from optimizer.monitoring.daybook import DAY_S, BookedDay, LabelledReplies
from optimizer.report.markup import Html, element

_WIDTH, _HEIGHT = 920, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 30, 28
_LEAST = 10
"""Labels of a point; days with fewer join the next."""
_MOST_POINTS = 24
_DOUBT = 4.0
_PATH_WIDTH, _PATH_HEIGHT = 640, 72


class QualityPoint(Value, frozen=True):
    """The share of right replies over some days, with the rules of then and without any."""

    first: int
    last: int
    """Days since the epoch."""
    ruled: Share | None
    plain: Share | None

    @property
    def middle(self) -> float:
        """The middle of the days."""
        return (self.first + self.last) / 2


class VersionFlag(Value, frozen=True):
    """A version going live."""

    version: int | None
    at: float
    """Days since the epoch."""


def points_of(days: Sequence[BookedDay]) -> list[QualityPoint]:
    """Return the points of a book, oldest first; days without enough labels are joined."""
    size = max(1, math.ceil(len(days) / _MOST_POINTS))
    points, group = list[QualityPoint](), list[BookedDay]()
    for day in days:
        group.append(day)
        if len(group) >= size and _labels(group) >= _LEAST:
            points.append(_point(group))
            group = []
    return [*points, _point(group)] if _labels(group) else points


def quality_chart(points: Sequence[QualityPoint], flags: Sequence[VersionFlag]) -> Html:
    """Draw quality over time: the rules' line with its interval, the line without rules, versions as flags."""
    first, last = points[0].first - 0.5, points[-1].last + 0.5
    span = max(last - first, 1.0)

    def across(day: float) -> float:
        return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * (day - first) / span, 1)

    shown, floor = [flag for flag in flags if first <= flag.at <= last], _HEIGHT - _BOTTOM
    description = "; ".join(_said(point) for point in points)
    marks = [0, 0.25, 0.5, 0.75, 1]
    return element(
        "svg",
        element("title", "Right replies over time"),
        element("desc", description),
        [
            [
                element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=_up(mark), y2=_up(mark), class_="grid"),
                element("text", f"{mark:.0%}", x=_LEFT - 8, y=_up(mark) + 4, class_="axis end"),
            ]
            for mark in marks
        ],
        [
            element("text", _date(point.middle), x=across(point.middle), y=_HEIGHT - 6, class_="axis middle")
            for point in points[:: max(1, math.ceil(len(points) / 8))]
        ],
        [
            [
                element("line", x1=across(flag.at), x2=across(flag.at), y1=_TOP - 8, y2=floor, class_="flag"),
                element("text", _name(flag), x=across(flag.at) + 5, y=_TOP - 14, class_="flagname"),
            ]
            for flag in shown
        ],
        _line([(across(point.middle), point.plain) for point in points if point.plain], "weak"),
        _line([(across(point.middle), point.ruled) for point in points if point.ruled], "rules"),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}", width="100%", role="img",
        aria_label=f"Right replies over time: {description}",
    )  # fmt: skip


def _line(drawn: Sequence[tuple[float, Share]], kind: str) -> list[Html]:
    if not drawn:
        return []
    upper = [f"{x},{_up(share.high)}" for x, share in drawn]
    lower = [f"{x},{_up(share.low)}" for x, share in reversed(drawn)]
    path = " ".join(f"{x},{_up(share.share)}" for x, share in drawn)
    dots = [element("circle", cx=x, cy=_up(share.share), r=2.6, class_=kind) for x, share in drawn]
    return [
        element("polygon", points=" ".join([*upper, *lower]), class_=f"band {kind}"),
        element("polyline", points=path, class_=f"{'curve' if kind == 'rules' else 'limit'} {kind}"),
        *dots,
    ]


def evidence_chart(name: str, e_value: float, limit: float) -> Html:
    """Draw evidence on a track: no difference in the middle, harm at its limit on the right, the contrary left."""
    place, doubt = (50 + 48 * towards_harm(value, limit) for value in (e_value, _DOUBT))
    tone = "bad" if e_value >= limit else "warn" if e_value >= _DOUBT else "good" if e_value < 1 else "other"
    words = f"{name}: evidence of harm {e_value:.3g}; the limit is {limit:,.0f}"
    return element(
        "svg",
        element("title", words),
        element("line", x1="2%", x2="98%", y1=11, y2=11, class_="grid"),
        element("line", x1="50%", x2="50%", y1=5, y2=17, class_="zero"),
        element("line", x1=f"{doubt:.1f}%", x2=f"{doubt:.1f}%", y1=6, y2=16, class_="limit warn"),
        element("line", x1="98%", x2="98%", y1=3, y2=19, class_="cap bad"),
        element("line", x1="50%", x2=f"{place:.1f}%", y1=11, y2=11, class_=f"whisker {tone}"),
        element("circle", cx=f"{place:.1f}%", cy=11, r=6, class_=tone),
        width="100%", height=22, role="img", aria_label=words,
    )  # fmt: skip


def path_chart(name: str, path: Sequence[tuple[float, float]], limit: float) -> Html:
    """Draw the evidence of a guardrail over time: fine below, no difference in the middle, harm at the top.

    ``path`` holds times in seconds since the epoch, oldest first, with e-values.
    """
    first, last = path[0][0], path[-1][0]
    across = [round(_PATH_WIDTH * (at - first) / max(last - first, 1.0), 1) for at, _ in path]
    up = [round(_PATH_HEIGHT / 2 * (1 - towards_harm(e_value, limit)), 1) for _, e_value in path]
    doubt = round(_PATH_HEIGHT / 2 * (1 - towards_harm(_DOUBT, limit)), 1)
    newest = path[-1][1]
    tone = "bad" if newest >= limit else "warn" if newest >= _DOUBT else "good" if newest < 1 else "other"
    most = max(e_value for _, e_value in path)
    words = (
        f"{name} over {len(path)} looks: evidence of harm {newest:.3g} now, {most:.3g} at most;"
        f" the limit is {limit:,.0f}"
    )
    middle = _PATH_HEIGHT / 2
    return element(
        "svg",
        element("title", words),
        element("line", x1=0, x2=_PATH_WIDTH, y1=0, y2=0, class_="cap bad"),
        element("line", x1=0, x2=_PATH_WIDTH, y1=doubt, y2=doubt, class_="limit warn"),
        element("line", x1=0, x2=_PATH_WIDTH, y1=middle, y2=middle, class_="grid"),
        element(
            "polyline", points=" ".join(f"{x},{y}" for x, y in zip(across, up, strict=True)), class_=f"curve {tone}"
        ),
        element("circle", cx=across[-1], cy=up[-1], r=4, class_=tone),
        viewBox=f"-4 -4 {_PATH_WIDTH + 8} {_PATH_HEIGHT + 8}", width="100%", role="img", aria_label=words,
    )  # fmt: skip


def towards_harm(e_value: float, limit: float) -> float:
    """Return the place of an e-value between harm (1), no difference (0) and as far on the other side (-1)."""
    return max(-1.0, min(math.log(max(e_value, 1e-9)) / math.log(limit), 1.0))


def _point(days: Sequence[BookedDay]) -> QualityPoint:
    labels = [labelled for day in days for labelled in day.labels]
    return QualityPoint(
        first=days[0].day,
        last=days[-1].day,
        ruled=_share([labelled for labelled in labels if labelled.version is not None]),
        plain=_share([labelled for labelled in labels if labelled.version is None]),
    )


def _share(labels: Sequence[LabelledReplies]) -> Share | None:
    audited = sum(known.audited for known in labels)
    if audited:
        return share_of(sum(known.audited_right for known in labels), audited)
    return share_of(sum(known.others_right for known in labels), sum(known.others for known in labels))


def _labels(days: Sequence[BookedDay]) -> int:
    return sum(labelled.audited + labelled.others for day in days for labelled in day.labels)


def _up(share: float) -> float:
    return round(_TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - share), 1)


def _name(flag: VersionFlag) -> str:
    return "no rules" if flag.version is None else f"v{flag.version}"


def _date(day: float) -> str:
    from optimizer.console.render import day as written

    return written(day * DAY_S)[5:]


def _said(point: QualityPoint) -> str:
    parts = [
        f"{share.share:.0%} {what}" for share, what in ((point.ruled, "with rules"), (point.plain, "without")) if share
    ]
    return f"{_date(point.middle)} {', '.join(parts)}"
