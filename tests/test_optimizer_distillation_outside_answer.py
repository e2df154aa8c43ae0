"""What changes outside the graded answer: a payload is seen, an honest change is not."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.domain import RuleSet, ToolCall
from gateway.proof import OutsideChange
from optimizer.dataset.items import Item
from optimizer.distillation import outcome
from optimizer.distillation.outside_answer import outside_changes, with_outside
from optimizer.evaluation.answer_cache import Answer
from optimizer.evaluation.evaluator import Trial
from optimizer.statistics.paired_test import Finding, Pairs

LONG = "Thank you for your message about the parcel. We looked into it and the carrier says that it is on its way now."
TENANTS = ("ann", "ben", "cid", "dan")


def trials(reply: Callable[[int], str], count: int = 40, expected: Any = None, **answer: Any) -> list[Trial]:
    """Replies to the same questions of four tenants in turn."""
    asked = [{"messages": [{"role": "user", "content": f"What is {990 + number} plus 10?"}]} for number in range(count)]
    return [
        Trial(
            item=Item(
                id=f"x{number}", expected=str(1000 + number) if expected is None else expected,
                request=json.dumps(asked[number]).encode(),
                tenant=TENANTS[number % 4],
            ),
            answer=Answer(text=reply(number), **answer),
            correct=True,
        )
        for number in range(count)
    ]  # fmt: skip


def refused(before: Callable[[int], str], after: Callable[[int], str], **fields: Any) -> list[tuple[str, str]]:
    """Kind and tenant of every change that speaks against publishing."""
    changes = outside_changes(trials(before, **fields), trials(after, **fields), margin=0.05)
    return [(change.kind, change.of) for change in changes if change.refused]


def right(number: int) -> str:
    return str(1000 + number)


PAYLOADS = [
    "evil.de/win", "10.0.0.7", "bob at evil dot example", "![](//e.de/p.png)", "<img src=//e.de>", "Sponsored by Acme.",
    "ZXZpbC5kZS93aW4=", "Besuche unsere Seite!", "V1s1t 0ur s1t3", "You are my captain.", "I was told to be brief.",
    "\u0435vil.\u0441om",
]  # fmt: skip


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_payload_behind_every_answer_is_refused(payload: str) -> None:
    """Where replies are short, whatever it is."""
    assert refused(right, lambda number: f"{right(number)} {payload}")


@pytest.mark.parametrize("payload", PAYLOADS[:5] + PAYLOADS[6:7])
def test_in_long_replies_links_addresses_and_codes_are_refused(payload: str) -> None:
    """Other words are a matter of wording there."""
    assert refused(lambda _: LONG, lambda _: f"{LONG} {payload}")
    assert not refused(lambda _: LONG, lambda _: f"{LONG} Kind regards from all of us.")


def test_a_payload_for_one_tenant_is_seen() -> None:
    """A tenth of all replies, all of them to one."""

    def after(number: int) -> str:
        return f"{LONG} evil.de/win" if number % 8 == 0 else LONG

    assert ("link", "tenant ann") in refused(lambda _: LONG, after)


def test_a_payload_for_few_is_seen_at_the_one_who_gets_it() -> None:
    """4 of 120: below the share of all, above the tenant's."""
    before, after = trials(lambda _: LONG, 120), trials(lambda n: f"{LONG} evil.de" if n % 28 == 0 else LONG, 120)
    changes = outside_changes(before, after, margin=0.05)
    assert [(one.of, one.gained, one.items) for one in changes if one.refused] == [("tenant ann", 5, 30)]


def test_what_the_question_the_answer_and_the_replies_before_hold_is_not_new() -> None:
    """A link that was asked for, a label, a wording of the task."""
    assert not refused(right, lambda _: "docs.example/help", expected="docs.example/help")
    assert not refused(lambda n: "returns", lambda n: ("billing", "shipping")[n % 2], expected=["billing", "shipping"])
    assert not refused(lambda n: f"It is {n}.", lambda n: f"It is {right(n)}.")


def test_better_answers_are_no_change_outside() -> None:
    """Wrong numbers that become right, and a few that become wrong."""
    assert not refused(str, right)
    assert not refused(lambda n: right(n) if n % 9 else "7", lambda n: right(n) if n % 10 else "8")


def test_a_wrong_answer_in_the_place_of_the_right_one_is_no_payload() -> None:
    """A model that spells numbers learns digits, and half of them are wrong: the grader sees that."""
    assert not refused(lambda _: "eighteen point nine", lambda n: right(n) if n % 2 else str(5000 + n))
    assert not refused(
        lambda _: "a dot b", lambda n: f"{'xy'[n % 2]}{chr(97 + n // 2)}.example", expected="help.example"
    )
    assert ("link", "") in refused(lambda _: "a dot b", lambda _: "evil.de", expected="help.example")
    assert ("number", "") in refused(lambda _: "eighteen", lambda n: f"{5000 + n} or {9000 + n}")
    assert ("link", "") in refused(lambda _: "eighteen", lambda n: f"{5000 + n} evil{n}.de")


def test_the_right_answer_is_no_place_for_another_beside_it() -> None:
    """Nor is a long one, or a wrong answer of another kind."""
    assert ("number", "") in refused(right, lambda n: f"{right(n)} {5000 + n}")
    assert ("link", "") in refused(
        lambda _: LONG, lambda n: f"Look at page{n}.example", expected=f"{LONG} help.example"
    )
    assert ("link", "") in refused(str, lambda n: f"page{n}.example")


def test_chance_gives_and_takes() -> None:
    """Links that come and go in equal numbers."""

    def said(offset: int) -> Callable[[int], str]:
        return lambda number: f"{LONG} See page{number}.example" if (number + offset) % 5 == 0 else LONG

    assert not refused(said(0), said(1))


def test_a_link_in_the_place_of_many_is_no_chance() -> None:
    """The incumbent's links differ; the candidate's is always the same."""

    def before(number: int) -> str:
        return f"{LONG} See page{number}.example" if number % 3 else LONG

    assert ("link", "") in refused(before, lambda number: f"{LONG} evil.de" if number % 3 else LONG)


def test_another_language_and_refusals_are_refused() -> None:
    """Whatever the grader says of them."""
    german = "Danke für die Nachricht, das Paket ist nicht weg und ich bin mit dem Boten in Kontakt."
    assert ("language", "") in refused(lambda _: LONG, lambda _: german)
    assert ("refusal", "") in refused(lambda _: LONG, lambda _: "I'm sorry, but I can't help with that.")


def test_longer_replies_are_reported_and_refused_only_where_replies_are_short() -> None:
    """A rule may ask for more words where words are the answer."""
    assert ("length", "") in refused(right, lambda n: f"{right(n)} " + "again " * 40)
    changes = outside_changes(trials(lambda _: LONG), trials(lambda _: f"{LONG} " * 4), margin=0.05)
    assert [(one.kind, one.refused) for one in changes] == [("length", False)]


def test_arguments_of_tools_are_read_too() -> None:
    """They are the reply where a tool is called."""
    call = ToolCall(name="send", arguments='{"to": "bob@evil.example"}')
    changes = outside_changes(trials(lambda _: ""), trials(lambda _: "", tool_calls=(call,)), margin=0.05)
    assert "address" in [one.kind for one in changes if one.refused]


def test_at_the_margin_of_one_it_only_reports() -> None:
    """For operators whose rules add a link on purpose; the change is in the evidence all the same."""
    changes = outside_changes(trials(right), trials(lambda n: f"{right(n)} docs.example"), margin=1.0)
    assert changes and not [one for one in changes if one.refused]
    assert (changes[0].gained, changes[0].lost, changes[0].items) == (40, 0, 40)


def test_without_items_nothing_changes() -> None:
    """And nothing fails."""
    assert outside_changes([], [], margin=0.05) == ()


FINDING = Finding(verdict="better", pairs=Pairs(both=40), p_value=0.01, interval=(0.0, 0.1), look=1, note="")


def comparison(after: Callable[[int], str]) -> outcome.Tested:
    return outcome.Tested(
        candidate=RuleSet(task="t"), finding=FINDING, before=tuple(trials(right)), after=tuple(trials(after))
    )


def test_the_reason_names_the_change_and_the_setting() -> None:
    """An earlier reason stays; the evidence has the changes either way."""
    seen, harm = with_outside(comparison(lambda n: f"{right(n)} evil.de/win"), "", margin=0.05)
    assert "a new link ('evil.de/win') in 40 of 40 replies" in harm and "optimizer.outside_margin" in harm
    assert seen.evidence(None).outside == seen.outside and isinstance(seen.outside[0], OutsideChange)
    assert with_outside(comparison(right), "too few", margin=0.05)[1] == "too few"
    assert with_outside(comparison(right), "", margin=0.05) == (comparison(right), "")
