"""The values of the domain: what is derived from them, and that they stay as they were made."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gateway.domain import Feedback, Rule, RuleSet, Usage
from gateway.teaching import DecisionRule, Example, Worksheet

USAGES = st.builds(Usage, prompt_tokens=st.integers(0, 10**9), output_tokens=st.integers(0, 10**9))


@given(USAGES, USAGES, USAGES)
def test_usage_adds_up_in_any_order(a: Usage, b: Usage, c: Usage) -> None:
    """The passes of a scratchpad can be counted in whatever order they end."""
    assert (a + b) + c == c + (b + a)
    assert a + Usage() == a
    assert (a + b).prompt_tokens == a.prompt_tokens + b.prompt_tokens
    assert (a + b).output_tokens == a.output_tokens + b.output_tokens


def test_a_hash_covers_what_reaches_the_model() -> None:
    """Task, scratchpad, and the rules' texts in their order make the hash."""
    rules = (Rule(text="Work in steps."), Rule(text="Check the sum."))
    base = RuleSet(task="sums", rules=rules)
    others = [
        RuleSet(task="words", rules=rules),
        RuleSet(task="sums", rules=rules, scratchpad="tags"),
        RuleSet(task="sums", rules=rules[::-1]),
        RuleSet(task="sums", rules=rules[:1]),
        RuleSet(task="sums", rules=(Rule(text="Work in steps.Check the sum."),)),
    ]
    assert len({base.hash, *(other.hash for other in others)}) == 1 + len(others)
    assert len(base.hash) == 64


def test_a_hash_covers_every_part() -> None:
    """Conditions, examples and the worksheet reach the model too; who may see an example decides about that."""
    sheet = Worksheet(schema={"type": "object", "properties": {"days": {"type": "integer"}}})
    shot = Example(question="2 + 2", answer="4")
    sets = [
        RuleSet(task="sums", rules=(Rule(text="Work."),)),
        RuleSet(task="sums", rules=(Rule(text="Work.", when="text != ''"),)),
        RuleSet(task="sums", examples=(shot,)),
        RuleSet(task="sums", examples=(shot,), nearest=8),
        RuleSet(task="sums", examples=(shot,), examples_mode="fixed"),
        RuleSet(task="sums", examples=(Example(question="2 + 2", answer="4", key="shop"),)),
        RuleSet(task="sums", worksheet=sheet),
        RuleSet(task="sums", worksheet=structs.replace(sheet, reply_line="So: {result}")),
        RuleSet(task="sums", worksheet=structs.replace(sheet, decide="answer")),
        RuleSet(task="sums", worksheet=structs.replace(sheet, decisions=(DecisionRule(when="", result="a"),))),
    ]
    assert len({each.hash for each in sets}) == len(sets)


def test_a_hash_leaves_out_the_number_of_neighbours_where_all_examples_are_shown() -> None:
    """It changes nothing that the model reads."""
    shots = (Example(question="2 + 2", answer="4"),)
    fixed = RuleSet(task="sums", examples=shots, examples_mode="fixed")
    assert fixed.hash == structs.replace(fixed, nearest=9).hash


def test_a_hash_leaves_out_the_story_of_a_rule_set() -> None:
    """The same rules have the same hash, whoever published them, when, why and under which number."""
    told = RuleSet(task="sums", rules=(Rule(text="Work.", reason="It guessed."),), version=7, parent=6, created=9.0,
                   decided_by="cycle")  # fmt: skip
    assert told.hash == RuleSet(task="sums", rules=(Rule(text="Work."),)).hash


def test_a_hash_is_stable() -> None:
    """A hash that was exported years ago still names the same rules."""
    known = "8c7d7275f97e6f3471ac1e2d1c0d05b3b07155a16d6a43c416dba043645280e5"
    assert RuleSet(task="sums", rules=(Rule(text="Work."),)).hash == known


def test_a_value_cannot_be_changed() -> None:
    """Whoever holds a rule set holds the same rules for ever."""
    rule_set = RuleSet(task="sums")
    with pytest.raises(AttributeError):
        rule_set.version = 2  # type: ignore[misc]


def test_a_rule_set_survives_json() -> None:
    """What is written to a database or a file reads back as the same value."""
    rule_set = RuleSet(task="sums", version=3, scratchpad="two_pass", rules=(Rule(text="Wörk.", reason="r"),), parent=2)
    assert msgspec.json.decode(msgspec.json.encode(rule_set), type=RuleSet) == rule_set


def test_evidence_of_an_earlier_version_is_still_read() -> None:
    """It says nothing of single rules, and neither does anything that nobody measured."""
    measured = {"accuracy": 0.5, "n": 10, "output_tokens": 4.0, "latency_s": 0.1}
    old = {"verdict": "better", "before": measured, "after": measured, "fixed": 3, "broken": 0, "items_used": 10,
           "p_value": 0.1, "interval": [0.0, 0.6], "against": None, "note": ""}  # fmt: skip
    stored = {"task": "sums", "version": 1, "rules": [{"text": "Work.", "reason": ""}], "evidence": old}
    rule_set = msgspec.json.decode(msgspec.json.encode(stored), type=RuleSet)
    assert rule_set.evidence is not None and rule_set.evidence.rules == ()


def test_a_rule_is_known_by_its_text() -> None:
    """Its id is the same in every cycle and for every reason, so that reports can be laid side by side."""
    assert Rule(text="Work.", reason="a").id == Rule(text="Work.").id == "bc92a1db5e32"
    assert Rule(text="Work!").id != Rule(text="Work.").id
    assert Rule(text="Work.", when="text != ''").id != Rule(text="Work.").id


@pytest.mark.parametrize(
    ("correct", "score", "verdict", "is_correct", "contradictory"),
    [
        (None, None, None, None, False), (True, 0.0, 1.0, True, False), (True, None, 0.0, True, True),
        (False, None, 1.0, False, True), (None, 0.5, 0.0, True, False), (None, 0.4, None, False, False),
        (None, None, 0.5, True, False), (None, None, 0.2, False, False),
    ],
)  # fmt: skip
def test_a_judgement_is_yes_or_no(
    correct: bool | None, score: float | None, verdict: float | None, is_correct: bool | None, contradictory: bool
) -> None:
    """The client's own word first, then its score, then the grader; a verdict against its word is a contradiction."""
    feedback = Feedback(exchange_id="a", created=1.0, correct=correct, score=score, verdict=verdict)
    assert (feedback.is_correct, feedback.is_contradictory) == (is_correct, contradictory)
