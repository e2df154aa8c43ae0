"""A reply without its reasoning."""

import pytest

from optimizer.evaluation.reasoning import without_reasoning


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("1. Add up.", "1. Add up."),
        ("<think>Hm: 1. Guess.</think>\n\n1. Add up.", "1. Add up."),
        ("\n<THINK>\nHm\n</THINK> 4", "4"),
        ("<thinking>Hm</thinking>4", "4"),
        ("so the rule is to add</think>4", "4"),
        ("<think>a</think><think>b</think>4", "4"),
        ("<think>1. Never end", ""),
        (" <think>", ""),
        ("We say <think> in prose.", "We say <think> in prose."),
        ("", ""),
    ],
)
def test_only_the_reply_is_left(text: str, reply: str) -> None:
    """Also where the server drops the opening tag; reasoning without an end leaves nothing."""
    assert without_reasoning(text) == reply
