"""Tickets under house conventions, and the two scripts."""

from itertools import islice
from typing import Any

import msgspec
import pytest

from optimizer.demo.tickets import DESKS, PROMPT, RULES, strong_reply, tickets, weak_reply

TICKETS = list(islice(tickets(1), 200))


def asked(ticket: str, *rules: str) -> dict[str, Any]:
    messages = [{"role": "system", "content": "\n".join([PROMPT, *rules])}, {"role": "user", "content": ticket}]
    return {"messages": messages}


def right(*rules: str) -> float:
    return sum(weak_reply(asked(ticket.question, *rules)) == ticket.answer for ticket in TICKETS) / len(TICKETS)


def test_tickets_are_different_and_repeatable() -> None:
    """Each has a desk."""
    assert len({ticket.question for ticket in TICKETS}) == 200
    assert list(islice(tickets(1), 200)) == TICKETS
    assert {ticket.answer for ticket in TICKETS} == set(DESKS)


def test_the_weak_script_fails_on_conventions_only() -> None:
    """About half of the tickets; three rules mend all, the useless one changes nothing, the harmful one does harm."""
    texts = [rule for rule, _ in RULES]
    assert 0.4 < right() < 0.6
    assert right(*texts[:3]) == 1.0
    assert right(texts[3]) == right() > right(texts[4])


@pytest.mark.parametrize("question", ["What went wrong?", "Write rules."])
def test_the_strong_script_proposes_its_rules_whatever_it_is_asked(question: str) -> None:
    """It reads nothing, and nobody claims that it does."""
    proposed = msgspec.json.decode(strong_reply(asked(question)))
    assert [entry["rule"] for entry in proposed] == [rule for rule, _ in RULES]
