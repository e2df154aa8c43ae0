"""What a run may say."""

from optimizer.grading.sandbox.base import NOTE, first_line


def test_a_note_is_one_short_line() -> None:
    """The program may have written it."""
    assert first_line("  ValueError: no\nand more\n") == "ValueError: no"
    assert len(first_line("x" * 10_000)) == NOTE
    assert first_line("") == ""
