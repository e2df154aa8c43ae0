"""What a report says, as values."""

from optimizer.report.view import change, seconds, sentence


def test_latencies_read_well() -> None:
    """Hundredths below ten seconds, tenths above."""
    assert [seconds(value) for value in (0.004, 2.346, 14.29)] == ["0.00 s", "2.35 s", "14.3 s"]


def test_a_change_is_told_in_points() -> None:
    """With its sign."""
    assert change((-0.031, 0.1)) == "95% interval of the change -3.1 to +10.0 points"


def test_a_note_becomes_a_sentence() -> None:
    """Names in it keep their letters."""
    assert sentence("a loss of GPT") == "A loss of GPT"
    assert sentence("") == ""
