"""Where the examples of a migration come from."""

import json
from pathlib import Path

import msgspec
import pytest

from gateway.domain import Feedback
from gateway.store.base import Graded
from optimizer.dataset.items import BadData
from optimizer.migration.source import from_file, from_log
from tests.fakes import settings
from tests.shell import log_of_strong

TASK = settings().tasks["arithmetic"]
LOG = log_of_strong(4)


def test_what_the_strong_model_answered_stands_for_what_is_right() -> None:
    """And each such item says whose label it bears; the answer itself, its tokens and its time are kept."""
    source = from_log([], LOG, TASK)
    assert [item.labelled_by for item in source.examples.items] == ["large"] * 4
    answer = source.answers[source.examples.items[0].id]
    assert (answer.usage.output_tokens, answer.latency_s, answer.text) == (5, 0.8, LOG[0].reply)


def test_feedback_wins_over_an_answer() -> None:
    """The item bears nobody's label then; the answer is still known."""
    graded = [Graded(exchange=LOG[0], feedback=Feedback(exchange_id="s0", created=1.0, expected=7))]
    source = from_log(graded, LOG, TASK)
    labels = {str(item.expected): item.labelled_by for item in source.examples.items}
    assert labels["7"] == "" and len(labels) == 4
    assert len(source.answers) == 4


def test_an_answer_that_was_called_wrong_labels_nothing() -> None:
    """Whoever said so did not say what is right."""
    graded = [Graded(exchange=LOG[0], feedback=Feedback(exchange_id="s0", created=1.0, correct=False))]
    assert len(from_log(graded, LOG, TASK).examples.items) == 3


def test_other_models_and_answers_that_say_nothing_are_left_out() -> None:
    """The latter with a complaint."""
    other = msgspec.structs.replace(LOG[0], model="another")
    vague = msgspec.structs.replace(LOG[1], reply="I do not know.")
    source = from_log([], [other, vague, LOG[2]], TASK)
    assert len(source.examples.items) == 1 and len(source.examples.complaints) == 1
    with pytest.raises(BadData, match="--data"):
        from_log([], [other], TASK)


def test_a_file_need_not_say_what_is_right(tmp_path: Path) -> None:
    """The strong model is asked later."""
    file = tmp_path / "data.jsonl"
    lines = [{"input": "What is 2 plus 2?"}, {"input": "x", "expected": 4}]
    file.write_text("\n".join(map(json.dumps, lines)))
    assert [item.expected for item in from_file(file, TASK).examples.items] == [None, 4]
