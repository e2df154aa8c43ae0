"""Segments of scripts without spaces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.discovery.unspaced import is_unspaced, joined, segments, size, without_dates, word_ends


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("用JSON回答。", ["用", "JSON", "回", "答", "。"]),
        ("チケットを分類する", ["チケット", "を", "分", "類", "す", "る"]),
        ("ใช้ JSON", ["ใช้", " JSON"]),
        ("hello", ["hello"]),
        ("订单12345", ["订", "单", "12345"]),
    ],
)
def test_a_segment_is_a_character_a_loan_word_or_a_syllable(text: str, parts: list[str]) -> None:
    """Latin words and numbers stay whole."""
    assert segments(text) == parts


@pytest.mark.parametrize("text", ["2024年3月5日", "上个星期五", "昨日", "月曜日", "วันศุกร์", "มีนาคม", "昨天"])
def test_a_date_is_a_value(text: str) -> None:
    """Weekdays and months as well, as in English."""
    assert without_dates(f"在{text}的订单", "X") == "在 X 的订单"


def test_words_end_where_segments_add_up_to_one() -> None:
    """Two characters of Chinese make a word, three syllables of Thai; a word between spaces is whole."""
    assert word_ends("分类工单 now") == [2, 4, 8]
    assert word_ends("สวัสดี") == [4, 6]
    assert (size("分"), size("word")) == (0.5, 1.0)


def test_joined_words_have_spaces_between_spaced_words_only() -> None:
    """People read the listing."""
    assert joined(["Use", "JSON", "only."]) == "Use JSON only."
    assert joined(["用", "JSON", "回", "答"]) == "用JSON回答"
    assert joined([]) == ""


@given(st.text())
def test_no_character_is_lost(text: str) -> None:
    """Whatever the script."""
    assert "".join(segments(text)) == text
    assert all(size(segment) > 0 for segment in segments(text) if segment)
    assert is_unspaced(text) or without_dates(text, "X") == text
