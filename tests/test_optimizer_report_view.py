"""What a report says, as values."""

from optimizer.report.view import seconds


def test_latencies_read_well() -> None:
    """Hundredths below ten seconds, tenths above."""
    assert [seconds(value) for value in (0.004, 2.346, 14.29)] == ["0.00 s", "2.35 s", "14.3 s"]
