"""Charts as inline SVG."""

import xml.etree.ElementTree as ET

from optimizer.report import charts
from optimizer.report.charts import Bar, Interval, Point

SVG = ET.Element


def parsed(text: str) -> SVG:
    return ET.fromstring(text)  # noqa: S314  we wrote it


def percent(value: str | None) -> float:
    assert value is not None
    return float(value.removesuffix("%"))


def test_an_interval_lies_where_its_numbers_say() -> None:
    """Between 2 and 98% of the width, for a scale from 0 to 1."""
    svg = parsed(charts.intervals("T", [Interval(label="a", value=0.5, low=0.25, high=1.0, kind="weak")]).text)
    whisker = next(line for line in svg.iter("line") if "whisker" in line.get("class", ""))
    assert (percent(whisker.get("x1")), percent(whisker.get("x2"))) == (26.0, 98.0)
    assert percent(next(svg.iter("circle")).get("cx")) == 50.0


def test_the_largest_bar_is_as_wide_as_the_chart() -> None:
    """And nothing is drawn for nothing."""
    rows = [Bar(label=str(amount), amount=amount, shown="", kind="weak") for amount in (0.0, 5.0, 10.0)]
    widths = [percent(rect.get("width")) for rect in parsed(charts.bars("T", rows).text).iter("rect")]
    assert widths == [0.0, 48.0, 96.0]


def test_bars_of_nothing_are_no_error() -> None:
    """A run without tokens has happened to somebody."""
    parsed(charts.bars("T", [Bar(label="a", amount=0.0, shown="0", kind="weak")]).text)
    parsed(charts.plane("T", []).text)


def test_the_line_joins_what_nothing_beats() -> None:
    """From few tokens to many, and only those."""
    points = [
        Point(label=label, tokens=tokens, quality=quality, kind="other", frontier=frontier)
        for label, tokens, quality, frontier in [("1", 300, 0.9, True), ("2", 10, 0.2, True), ("3", 200, 0.1, False)]
    ]
    svg = parsed(charts.plane("T", points).text)
    lines = [line for line in svg.iter("line") if line.get("class") == "frontier"]
    assert len(lines) == 1
    assert percent(lines[0].get("x1")) < percent(lines[0].get("x2"))
    assert len(list(svg.iter("circle"))) == 3


def test_points_in_one_place_share_a_label() -> None:
    """Labels on top of each other could not be read."""
    points = [
        Point(label=label, tokens=tokens, quality=0.9, kind="other", frontier=False)
        for label, tokens in [("1", 100), ("2", 101), ("3", 300)]
    ]
    svg = parsed(charts.plane("T", points).text)
    assert [text.text for text in svg.iter("text") if "point" in text.get("class", "")] == ["1, 2", "3"]


def test_a_chart_tells_its_numbers_to_who_cannot_see_it() -> None:
    """As its name and its description."""
    svg = parsed(charts.intervals("Right", [Interval(label="a", value=0.5, low=0.25, high=1.0, kind="weak")]).text)
    assert svg.get("role") == "img"
    assert svg.get("aria-label") == "Right: a 50%, 25% to 100%"
