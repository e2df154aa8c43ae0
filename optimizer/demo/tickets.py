"""Tickets for the quick demo, and two scripted models: programs in place of models, and said to be programs.

The desk of a ticket follows house conventions that no instruction states. The weak script knows keywords only, and
obeys rules in its prompt. The strong script always proposes the same five rules: three state a convention, one is
useless, one does harm. Everything between the two is the product itself.
"""

import re
from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec

from optimizer.demo.problems import Problem

DESKS = ("billing", "shipping", "returns", "technical")
PROMPT = f"Route the ticket to a desk. Reply with one word: {', '.join(DESKS[:-1])} or {DESKS[-1]}."
RULES = (
    ("If the ticket mentions a gift card, answer billing.", "Gift cards are money, whatever else is wrong with them."),
    ("If the ticket mentions a battery, answer shipping.", "Batteries travel as dangerous goods."),
    ("If the ticket mentions a deposit, answer returns.", "Deposits are paid back with the goods."),
    ("Keep the reply short and read the ticket twice.", "It sounds sensible."),
    ("If the ticket mentions a password, answer returns.", "It was a guess."),
)
_KEYWORDS = {
    "invoice": "billing", "charged": "billing", "parcel": "shipping", "courier": "shipping",
    "broken": "returns", "refund": "returns", "login": "technical", "password": "technical", "code": "technical",
}  # fmt: skip
_CONVENTIONS = {"gift card": "billing", "battery": "shipping", "deposit": "returns"}
_RULE = re.compile(r"mentions an? ([a-z ]+), answer (\w+)")

_PLAIN = (
    "I was charged twice for order {n}.", "The invoice of order {n} has the wrong address.",
    "My parcel {n} has not come.", "The courier left parcel {n} in the rain.",
    "The lamp from order {n} came broken.", "I want a refund for order {n}.",
    "The login fails since build {n}.", "I forgot the password of account {n}.",
)  # fmt: skip
_HOUSE = (
    "The code of my gift card {n} is refused.", "My gift card {n} came broken, the strip is torn.",
    "The battery of device {n} is broken.", "I forgot the code of battery case {n}.",
    "When do I get the deposit for crate {n}? I was charged for it.", "The parcel with deposit bottles {n} is packed.",
)  # fmt: skip


_OPENINGS = (
    "Good morning from Graz,", "Hello again, Ana here:", "Dear team, quick note:", "Hi, third message this week:",
    "My colleague asked me to write:", "As agreed by phone yesterday:", "Sorry to bother you once more.",
    "Greetings, long time customer speaking.", "To whom it may concern:", "Urgent for our shop:", "Just so you know:",
    "Following your newsletter,",
)  # fmt: skip
_CLOSINGS = (
    "Please answer before Monday noon.", "Thanks a lot for looking into this!", "My boss is waiting.",
    "No hurry at all.", "Call me under the usual number.", "What happens next?", "I attach no picture.",
    "Kind regards, Ben",
    "This never happened before.", "Otherwise everything was lovely.", "Tell me whom else to ask.",
    "Best wishes, Chloe",
)  # fmt: skip
"""Words around a ticket, so that two tickets of one kind are no near-duplicates."""


def tickets(seed: int) -> Iterator[Problem]:
    """Yield different tickets without end, half of them under a house convention."""
    random = Random(seed)  # noqa: S311 - repeatable on purpose
    seen: set[str] = set()
    while True:
        core = random.choice(_HOUSE if random.random() < 0.5 else _PLAIN).format(n=random.randint(100, 9999))
        text = f"{random.choice(_OPENINGS)} {core} {random.choice(_CLOSINGS)}"
        if text not in seen:
            seen.add(text)
            yield Problem(question=text, answer=_desk(text, _CONVENTIONS))


def weak_reply(body: dict[str, Any]) -> str:
    """Answer a ticket as the weak script: by the rules in the prompt, or else by the first keyword."""
    *context, ticket = [str(message.get("content", "")) for message in body["messages"]]
    return _desk(ticket.lower(), dict(_RULE.findall("\n".join(context).lower())))


def strong_reply(_: dict[str, Any]) -> str:
    """Answer as the strong script: with its five rules, whatever the question."""
    return msgspec.json.encode([{"rule": rule, "reason": reason} for rule, reason in RULES]).decode()


def _desk(ticket: str, conventions: dict[str, str]) -> str:
    words = [*conventions.items(), *_KEYWORDS.items()]
    return next((desk for word, desk in words if word in ticket), DESKS[-1])
