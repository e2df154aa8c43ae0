"""What cannot be graded is named, shortly."""

from optimizer.grading.graders.ungradable import GraderFailed, Ungradable, text_of


def test_the_message_names_the_value_and_stays_one_short_line() -> None:
    """Long values are cut."""
    assert str(Ungradable([1], "a number")) == "expected value '[1]' is not a number"
    assert len(str(Ungradable("x" * 1000, "a number"))) < 120


def test_a_text_is_itself_and_everything_else_is_json() -> None:
    """The form in which expected values are compared and shown."""
    assert [text_of(" a "), text_of(1.5), text_of({"a": None})] == ["a", "1.5", '{"a":null}']


def test_half_of_a_surrogate_pair_is_written_too() -> None:
    """A data file may hold one; no example may break the run."""
    assert text_of(["\ud800"]) == '["\\ud800"]'


def test_a_failed_grader_says_why_in_its_own_words() -> None:
    """And is left out like any other item that cannot be graded."""
    assert str(GraderFailed("grader x:y raised KeyError")) == "grader x:y raised KeyError"
    assert isinstance(GraderFailed("no"), Ungradable)
