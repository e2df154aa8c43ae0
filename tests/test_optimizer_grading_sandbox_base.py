"""What a run may say."""

from optimizer.grading.sandbox.base import NOTE, note_of


def test_a_note_is_one_short_line() -> None:
    """The program may have written it."""
    assert note_of("  ValueError: no\nand more\n") == "ValueError: no"
    assert len(note_of("x" * 10_000)) == NOTE
    assert note_of("") == ""
