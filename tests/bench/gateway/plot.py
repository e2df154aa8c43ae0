"""Grouped bars on a log scale, as SVG written by hand: no library is worth being installed for two panels."""

import itertools
import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from gateway.domain import Value

COLOURS = ("#9aa0a6", "#4c78a8", "#e45756", "#f2a541", "#72b7b2", "#8d6cab", "#59a14f")
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 860, 300, 60, 46, 40
"""Of a panel, in pixels."""


class Bar(Value, frozen=True):
    """One value, above zero."""

    group: str
    series: str
    value: float


class Panel(Value, frozen=True):
    """One set of axes."""

    title: str
    bars: Sequence[Bar]
    form: str


def plot(*panels: Panel) -> str:
    """The panels below each other, one legend each; a series has one colour in all of them."""
    names = dict.fromkeys(bar.series for panel in panels for bar in panel.bars)
    colours = dict(zip(names, itertools.cycle(COLOURS)))  # the colours never end
    drawn = "".join(
        f'<g transform="translate(0 {number * HEIGHT})">{_panel(panel, colours)}</g>'
        for number, panel in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT * len(panels)}" font-family="sans-serif"'
        f' font-size="11"><rect width="100%" height="100%" fill="white"/>{drawn}</svg>\n'
    )


def _panel(panel: Panel, colours: Mapping[str, str]) -> str:
    if not panel.bars:
        return _text(LEFT, 18, f"{panel.title}: no quiet round", bold=True)
    low = math.floor(math.log10(min(bar.value for bar in panel.bars)))
    high = max(low + 1, math.ceil(math.log10(max(bar.value for bar in panel.bars))))
    height = HEIGHT - TOP - BOTTOM

    def y(value: float) -> float:
        return TOP + height * (1 - (math.log10(value) - low) / (high - low))

    series = list(dict.fromkeys(bar.series for bar in panel.bars))
    groups = list(dict.fromkeys(bar.group for bar in panel.bars))
    slot = (WIDTH - LEFT - 10) / len(groups)
    width = slot * 0.86 / len(series)
    parts = [_text(LEFT, 16, panel.title, bold=True), *_legend(series, colours)]
    for power in range(low, high + 1):
        at = y(10.0**power)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{at:.1f}" y2="{at:.1f}" stroke="#ddd"/>')
        parts.append(_text(LEFT - 6, at + 4, f"{10.0**power:,g}", anchor="end"))
    for number, group in enumerate(groups):
        parts.append(_text(LEFT + slot * (number + 0.5), HEIGHT - BOTTOM + 18, group, anchor="middle"))
    for bar in panel.bars:
        place = series.index(bar.series)
        left = LEFT + slot * (groups.index(bar.group) + 0.07) + width * place
        top = y(bar.value)
        parts.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{width - 2:.1f}" height="{TOP + height - top:.1f}"'
            f' fill="{colours[bar.series]}"/>'
        )
        parts.append(_text(left + width / 2 - 1, top - 3, format(bar.value, panel.form), anchor="middle", size=9))
    return "".join(parts)


def _legend(series: Sequence[str], colours: Mapping[str, str]) -> list[str]:
    parts = []
    for number, name in enumerate(series):
        left = LEFT + number * 105
        parts.append(f'<rect x="{left}" y="24" width="10" height="10" fill="{colours[name]}"/>')
        parts.append(_text(left + 14, 33, name))
    return parts


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 11, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"{weight}>{escape(text)}</text>'
