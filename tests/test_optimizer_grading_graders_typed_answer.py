"""Answers as people type them, for the grader of the task."""

import pytest

from optimizer.grading.graders import Ungradable
from optimizer.grading.graders.typed_answer import typed_answer
from tests.fakes import CONFIG, settings


def test_text_stays_text_and_json_is_read() -> None:
    """A number for the numeric grader is typed as it is; JSON is decoded for the graders that compare values."""
    numeric = settings().tasks["arithmetic"].grader
    assert typed_answer(numeric, "42") == "42"
    schema = settings(CONFIG.replace('{ kind = "numeric" }', '{ kind = "json_schema" }')).tasks["arithmetic"].grader
    assert typed_answer(schema, '{"total": 4}') == {"total": 4}
    with pytest.raises(Ungradable, match="json_schema"):
        typed_answer(schema, "{total")


def test_an_answer_that_the_grader_cannot_use_is_refused_with_the_reason() -> None:
    """A word is no number."""
    with pytest.raises(Ungradable, match="numeric"):
        typed_answer(settings().tasks["arithmetic"].grader, "blue")
