"""Solved examples: only answers that may be trusted, only texts that may be shown, each with its provenance."""

from typing import Any

import msgspec

from optimizer.dataset.items import Item, item_of
from optimizer.distillation.induction.solved import PER_CLUSTER, solved_examples


def item(text: str, expected: Any = "yes", **changes: Any) -> Item:
    made = item_of({"messages": [{"role": "user", "content": text}]}, expected)
    return msgspec.structs.replace(made, **changes)


def test_a_data_file_is_the_operators_and_shared() -> None:
    """Every tenant may see what the operator wrote down."""
    (example,) = solved_examples([item("Is it late?")])
    assert (example.question, example.answer, example.shared) == ("Is it late?", "yes", True)
    assert example.visible_to("any", "body")


def test_traffic_is_shown_to_its_own_tenant_only() -> None:
    """Two labellers confirmed it, and it stays with key and tenant."""
    live = item("Is it late?", key="team-a", tenant="ann", audit_rate=0.5, labellers=("bob", "queue"))
    (example,) = solved_examples([live])
    assert not example.shared and example.visible_to("team-a", "ann")
    assert not example.visible_to("team-b", "ann") and not example.visible_to("team-a", "cid")


def test_traffic_with_a_single_labeller_is_not_shown() -> None:
    """A label by one voice may be a mistake, or meant badly."""
    assert not solved_examples([item("Is it late?", key="team-a", audit_rate=0.5, labellers=("bob", "bob"))])
    assert not solved_examples([item("Is it late?", labelled_by="large", labellers=("large",))])


def test_a_cluster_brings_a_few_examples() -> None:
    """Twenty variations of one question are one example's worth."""
    assert len(solved_examples([item(f"Is it {n}?", cluster="same") for n in range(20)])) == PER_CLUSTER


def test_conversations_tools_and_unanswered_questions_are_left_out() -> None:
    """An example is one question and its answer, and nothing else."""
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
    assert not solved_examples(
        [
            item_of({"messages": turns}, "yes"),
            item_of({"messages": turns[:1], "tools": tools}, "yes"),
            item("Is it late?", None),
            item("x" * 5000),
        ]
    )


def test_secrets_are_redacted() -> None:
    """Before the text is stored in a rule set."""
    (example,) = solved_examples([item("I am ann@home.example.org", "ann@home.example.org")])
    assert "example.org" not in example.question + example.answer


def test_an_answer_that_holds_a_secret_of_its_own_is_no_example() -> None:
    """A model that is shown ``[e-mail 1]`` for a spoken address answers with that mark."""
    spoken = item("ann at home dot example dot org", "ann@home.example.org")
    other = item("I am bob@home.example.org", "ann@home.example.org")
    assert not solved_examples([spoken, other])
