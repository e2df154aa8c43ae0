"""Why it fails: wrong replies in groups, named by what is known of them, without a call of a model."""

import json

import msgspec

from gateway.domain import Exchange, Feedback, RuleRecord
from gateway.settings import ExactGrader, NumericGrader
from gateway.store.base import Graded
from optimizer.console.mistakes import mistake_groups, with_rules
from optimizer.dataset.items import item_of_request
from optimizer.distillation.outcome import Outcome
from tests.consoles import NOW, console, exchange, signed_in, stocked

DESKS = ("billing", "shipping")


def judged(
    number: int, reply: str, expected: object = None, *, comment: str = "", right: bool = False, **parts: object
) -> Graded:
    """A judged exchange."""
    made: Exchange = exchange(number, "t", f"Question {number}?", reply, **parts)
    feedback = Feedback(
        exchange_id=made.id, created=NOW, correct=right, expected=expected, source="label", comment=comment or None
    )
    return Graded(exchange=made, feedback=feedback)


def names(*entries: Graded, listed: tuple[str, ...] = DESKS, live: int | None = None) -> dict[str, int]:
    """The groups' names with their sizes."""
    return {group.name: len(group.replies) for group in mistake_groups(entries, ExactGrader(), listed, live)}


def test_labels_that_are_taken_for_each_other_are_a_group() -> None:
    """Single ones stand together, by the right label; right replies in none."""
    entries = [judged(number, "shipping", "billing") for number in range(3)]
    found = names(
        *entries, judged(3, "returns", "billing"), judged(4, "other", "billing"), judged(5, "x", "x", right=True)
    )
    assert found == {"“shipping” where “billing” is right": 3, "another label where “billing” is right": 2}


def test_how_a_reply_ends_and_begins_comes_first() -> None:
    """Cut off, empty, declined: whatever the label."""
    found = names(
        judged(1, "ship", "billing", finish_reason="length"), judged(2, "", "billing"),
        judged(3, "I'm sorry, but I can't help with that.", "billing"),
    )  # fmt: skip
    assert found == {"cut off at the length limit": 1, "an empty reply": 1, "the model declined to answer": 1}


def test_the_graders_words_name_a_group_without_their_numbers() -> None:
    """So that equal mistakes are one group."""
    entries = [judged(1, "4 or 5", 9), judged(2, "7 or 8", 3), judged(3, "who knows", 3)]
    groups = mistake_groups(entries, NumericGrader(), (), None)
    assert {group.name: len(group.replies) for group in groups} == {
        "the reply states several numbers": 2, "the reply states no number": 1,
    }  # fmt: skip
    assert {group.kind for group in groups} == {"the grader"}


def test_comments_of_people_name_what_nothing_else_does() -> None:
    """Without any, the group says that no more is known."""
    found = names(judged(1, "a", comment="Too  rude"), judged(2, "b", comment="too rude"), judged(3, "c"), listed=())
    assert found == {"too rude": 2, "another answer than the right one": 1}


def test_what_serves_now_is_counted_apart_and_shown_first() -> None:
    """The rest is of versions that are gone: it may be mended."""
    entries = [judged(number, "shipping", "billing", rules=3 if number > 3 else 2) for number in range(6)]
    (group,) = mistake_groups(entries, ExactGrader(), DESKS, 3)
    assert (len(group.replies), group.left, [reply.live for reply in group.examples]) == (6, 2, [True, True, False])


def test_a_group_names_the_rules_that_were_written_from_its_mistakes() -> None:
    """Kept ones first; of a rule in two runs the newer word counts."""
    entry = judged(1, "shipping", "billing")
    item = item_of_request(entry.exchange.request).id
    known = RuleRecord(id="a", text="a", reason="", status="dropped", mistakes=(item,))
    rules = [known, msgspec.structs.replace(known, id="b", text="b", status="kept")]
    old = RuleRecord(id="a", text="a", reason="", status="tried", mistakes=(item,))
    other = RuleRecord(id="c", text="c", reason="", status="kept", mistakes=("another",))
    outcomes = [Outcome(task="t", note="", records=(*rules, other)), Outcome(task="t", note="", records=(old,))]
    (group,) = with_rules(mistake_groups([entry], ExactGrader(), DESKS, None), outcomes)
    assert [(rule.text, rule.status) for rule in group.rules] == [("b", "kept"), ("a", "dropped")]


async def test_the_page_shows_groups_with_counts_examples_and_the_strong_models_words() -> None:
    """And says what it counts."""
    store = stocked()
    wrong = [exchange(1000 + number, "ticket-desk", "Where is my deposit?", "billing", rules=3) for number in range(4)]
    store.record(wrong)
    for given in wrong:
        store.add_feedback(
            Feedback(exchange_id=given.id, created=NOW, expected="returns", correct=False, source="label")
        )
    async with console(store) as served:
        client = await signed_in(served)
        page = (await client.get("/ui/tasks/ticket-desk/mistakes")).text
        empty = (await client.get("/ui/tasks/meeting-notes/mistakes")).text
    assert "4 of the newest 19 judged replies are wrong, in 1 group;" in page
    assert sum(f"/ui/exchanges/{given.id}" in page for given in wrong) == 3
    assert "How the strong model explains it" in page and "Gift cards are money" in page
    assert "Nobody judged a reply yet" in empty


def test_a_request_that_cannot_be_read_is_in_a_group_all_the_same() -> None:
    """It was answered, and judged."""
    entry = judged(1, "x", "billing", request=json.dumps({"input": 5}).encode())
    assert sum(names(entry).values()) == 1
