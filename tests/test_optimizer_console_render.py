"""Numbers, times and foreign texts as pages show them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.console import render

HOSTILE = [
    "<script>document.title='x'</script>", "<img src=x onerror=alert(1)>", "'\"><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% for x in y %}", "\N{RIGHT-TO-LEFT OVERRIDE}evil", "javascript:alert(1)", "\x00\x1b[31m",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_a_foreign_text_is_text(text: str) -> None:
    """No markup, no template, no turned direction."""
    values = {"why": text, "http_status": 400, "visitor": None, "token": "", "address": text}
    page = render.render("trouble.html", values)
    assert "<script>d" not in page and "<img src=x" not in page and "<svg" not in page and "49" not in page
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in page and "\x00" not in page and "\x1b" not in page


def test_a_long_text_is_cut_and_says_so() -> None:
    """In the middle: the ends tell most."""
    shown = render.text("a" * 1_000_000 + "end")
    assert len(shown) < 4200 and "characters left out" in shown and shown.endswith("end")
    assert len(render.line("word " * 1000)) == 160 and "\n" not in render.line("a\n" * 50)


def test_numbers_read_well() -> None:
    """Signs, separators and units."""
    assert (render.points(0.142), render.points(-0.05)) == ("+14", "\N{MINUS SIGN}5")
    assert (render.percent(0.935, 1), render.percent(None)) == ("93.5%", "\N{EN DASH}")
    assert render.count(1234567) == "1,234,567"
    assert [render.money(usd) for usd in (0.0, 1234.5, 0.0123, 6e-06, -0.5)] == [
        "$0.00", "$1,234.50", "$0.0123", "under $0.0001", "\N{MINUS SIGN}$0.50",
    ]  # fmt: skip


def test_times_read_well() -> None:
    """In UTC, and as a distance."""
    assert render.time(0.0) == "1970-01-01 00:00 UTC" and render.day(86400.0) == "1970-01-02"
    assert render.time(1e300) == "1970-01-01 00:00 UTC" and render.time(None) == "\N{EN DASH}"
    assert [render.ago(0.0, now) for now in (5.0, 120.0, 7200.0, 200_000.0)] == [
        "just now", "2 minutes ago", "2 hours ago", "2 days ago",
    ]  # fmt: skip
    assert render.ago(None, 5.0) == "never"


@given(st.text())
def test_any_text_can_be_shown(text: str) -> None:
    """Surrogates and controls included."""
    render.text(text).encode()
    render.line(text).encode()
