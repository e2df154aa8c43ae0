"""Generates house policies and tickets: a few arbitrary rules over five fields, and messages that state the fields.

Nobody can know such a policy beforehand, and room to think cannot find it. A policy is a decision list: the first rule
with a true condition names the desk. Everything follows from a seed.
"""

from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Final, Literal

from gateway.domain import Value

DESKS: Final = ("alder", "birch", "cedar", "elm", "hazel", "rowan")
ITEMS: Final = ("kettle", "lamp", "chair", "blender", "radio", "jacket", "drill", "carpet")
TOWNS: Final = ("Northam", "Eastwick", "Lowport", "Highmoor", "Brakely", "Sandford")
CUSTOMERS: Final = ("school", "hotel", "clinic", "bakery", "household")
DAYS: Final = (2, 4, 6, 8, 9, 12, 15, 18, 21, 25, 33, 38, 42, 47, 55)
PRICES: Final = (18, 25, 34, 45, 60, 72, 88, 120, 150, 190, 240, 310, 420, 560, 780)
CUTS: Final[Mapping[str, tuple[int, ...]]] = {"days": (10, 30), "price": (100, 250)}
"""Thresholds of rules; no ticket is nearer than one place of its scale."""
PROBE: Final = 1000
"""Tickets on which a drawn policy is looked at."""

Field = Literal["item", "town", "customer", "days", "price"]
VALUES: Final[Mapping[Field, tuple[str, ...]]] = {"item": ITEMS, "town": TOWNS, "customer": CUSTOMERS}
SCALES: Final[Mapping[Field, tuple[int, ...]]] = {"days": DAYS, "price": PRICES}


class Facts(Value, frozen=True):
    """The five fields of a ticket."""

    item: str
    town: str
    customer: str
    days: int
    """Since the delivery."""
    price: int


class Atom(Value, frozen=True):
    """One condition: a value out of a list, or a number beyond a cut."""

    field: Field
    values: tuple[str, ...] = ()
    above: int | None = None
    below: int | None = None

    def holds(self, facts: Facts) -> bool:
        value = getattr(facts, self.field)
        if self.values:
            return value in self.values
        return bool(value > self.above if self.above is not None else value < (self.below or 0))

    @property
    def words(self) -> str:
        """The condition in words."""
        noun = {"item": "the item", "town": "the town", "customer": "the customer"}
        unit = {"days": "days since delivery", "price": "euros of price"}
        if self.values:
            return f"{noun[self.field]} is {' or '.join(self.values)}"
        if self.above is not None:
            return f"there are more than {self.above} {unit[self.field]}"
        return f"there are fewer than {self.below} {unit[self.field]}"


class PolicyRule(Value, frozen=True):
    """One line of a policy. Without conditions it always holds."""

    desk: str
    conditions: tuple[Atom, ...] = ()
    unless: Atom | None = None

    def holds(self, facts: Facts) -> bool:
        excepted = self.unless is not None and self.unless.holds(facts)
        return all(atom.holds(facts) for atom in self.conditions) and not excepted

    @property
    def words(self) -> str:
        """The rule in a sentence."""
        if not self.conditions:
            return f"In all other cases answer {self.desk}."
        unless = f", unless {self.unless.words}" if self.unless is not None else ""
        return f"If {' and '.join(atom.words for atom in self.conditions)}{unless}, answer {self.desk}."


class Ticket(Value, frozen=True):
    """A message, its facts and its desk."""

    message: str
    facts: Facts
    desk: str


def decided_by(policy: tuple[PolicyRule, ...], facts: Facts) -> int:
    """Return the place of the rule that decides."""
    return next(place for place, rule in enumerate(policy) if rule.holds(facts))


def draw_policy(count: int, seed: int) -> tuple[PolicyRule, ...]:
    """Draw ``count`` rules and a last one for all other cases; without any of them many tickets would go elsewhere."""
    random = Random(f"policy {count} {seed}")
    probes = [some_facts(random) for _ in range(PROBE)]
    fair = PROBE / (count + 1)
    while True:
        left, rules = probes, list[PolicyRule]()
        while len(rules) < count:
            rule = _rule(random)
            decided = sum(map(rule.holds, left))
            if 0.7 * fair <= decided <= 1.8 * fair:
                rules.append(rule)
                left = [facts for facts in left if not rule.holds(facts)]
            elif len(left) < 2 * fair:
                break
        policy = (*rules, PolicyRule(desk=random.choice(DESKS)))
        desks = [policy[decided_by(policy, facts)].desk for facts in probes]
        if len(rules) < count or len(set(desks)) < 5 or max(map(desks.count, DESKS)) > 0.35 * PROBE:
            continue
        if all(_worth(policy, place, probes, desks) >= 0.4 / (count + 1) for place in range(count)):
            return policy


def changed_policy(policy: tuple[PolicyRule, ...], seed: int) -> tuple[PolicyRule, ...]:
    """Return the policy after a change: two rules send their tickets elsewhere, one of them under another condition."""
    random = Random(f"change {seed}")
    first, second = random.sample(range(len(policy) - 1), 2)
    rules = list(policy)
    for place in (first, second):
        elsewhere = random.choice([desk for desk in DESKS if desk != rules[place].desk])
        rules[place] = PolicyRule(desk=elsewhere, conditions=rules[place].conditions, unless=rules[place].unless)
    unless = _listed(random)
    while unless.field in {atom.field for atom in rules[second].conditions}:
        unless = _listed(random)
    rules[second] = PolicyRule(desk=rules[second].desk, conditions=rules[second].conditions, unless=unless)
    return tuple(rules)


def tickets(policy: tuple[PolicyRule, ...], seed: int) -> Iterator[Ticket]:
    """Iterate over tickets without end; no message comes twice."""
    random = Random(f"tickets {seed}")
    seen: set[str] = set()
    while True:
        facts = some_facts(random)
        message = message_of(random, facts)
        if message not in seen:
            seen.add(message)
            yield Ticket(message=message, facts=facts, desk=policy[decided_by(policy, facts)].desk)


def base_prompt() -> str:
    """Return the operator's prompt: the desks and nothing of the policy."""
    return (
        "You sort the messages of our shop's customers. To which desk does the message go? Reply with only one name out"
        f" of: {', '.join(DESKS)}"
    )


def true_rules(policy: tuple[PolicyRule, ...]) -> str:
    """Return the policy as a list to be put into a prompt."""
    return "\n".join(f"{number}. {rule.words}" for number, rule in enumerate(policy, 1))


def _worth(policy: tuple[PolicyRule, ...], place: int, probes: list[Facts], desks: list[str]) -> float:
    """The share of tickets that go elsewhere without a rule."""
    rest = policy[:place] + policy[place + 1 :]
    moved = [rest[decided_by(rest, facts)].desk != desk for facts, desk in zip(probes, desks, strict=True)]
    return sum(moved) / len(probes)


def some_facts(random: Random) -> Facts:
    """Draw the fields of a ticket."""
    return Facts(
        item=random.choice(ITEMS), town=random.choice(TOWNS), customer=random.choice(CUSTOMERS),
        days=random.choice(DAYS), price=random.choice(PRICES),
    )  # fmt: skip


def _listed(random: Random) -> Atom:
    field: Field = random.choice(("item", "town", "customer"))
    return Atom(field=field, values=tuple(random.sample(VALUES[field], random.choice((1, 2)))))


def _cut(random: Random) -> Atom:
    field: Literal["days", "price"] = random.choice(("days", "price"))
    cut = random.choice(CUTS[field])
    return Atom(field=field, above=cut) if random.random() < 0.6 else Atom(field=field, below=cut)


def _rule(random: Random) -> PolicyRule:
    atoms = [_listed(random) if random.random() < 0.6 else _cut(random)]
    if random.random() < 0.5:
        more = _listed(random) if random.random() < 0.5 else _cut(random)
        atoms += [more] if more.field != atoms[0].field else []
    used = {atom.field for atom in atoms}
    unless = _listed(random) if random.random() < 0.4 else None
    if unless is not None and unless.field in used:
        unless = None
    return PolicyRule(desk=random.choice(DESKS), conditions=tuple(atoms), unless=unless)


_OPENINGS = (
    "Hello,", "Good morning,", "Dear team,", "Hi there,", "To whom it may concern,", "Hello again,", "",
)  # fmt: skip
_CUSTOMER: Mapping[str, tuple[str, ...]] = {
    "school": ("I teach at a school", "I write for a primary school", "our school", "I am the caretaker of a school"),
    "hotel": ("I run a hotel", "we are a small hotel", "our hotel", "I work at the desk of a hotel"),
    "clinic": ("I am a nurse at a clinic", "we are a clinic", "our clinic", "I buy things for a clinic"),
    "bakery": ("I own a bakery", "we are a bakery", "our bakery", "I bake bread in a little bakery"),
    "household": ("I am a private household", "this is for our household", "our household", "we are a household"),
}  # fmt: skip
_FAULTS = (
    "the switch does nothing", "it came with a deep scratch", "a screw is missing", "it smells of smoke",
    "it rattles all night", "the label is torn", "the colour is not what the picture shows", "one corner is bent",
    "my neighbour tripped over it", "the box was soaked by rain", "it wobbles", "the manual is in Finnish",
)  # fmt: skip
_WISHES = (
    "What now?", "Please advise.", "Can somebody have a look?", "I would like an answer this week.", "Who can help?",
    "Thanks in advance.", "I am rather cross.", "No hurry.", "Please do not call before noon.",
)  # fmt: skip
_BOUGHT: tuple[Callable[[Facts], str], ...] = (
    lambda f: f"It is about a {f.item} for {f.price} euros.",
    lambda f: f"We paid {f.price} euros for the {f.item}.",
    lambda f: f"The {f.item} was {f.price} euros, by the way.",
    lambda f: f"I have a {f.item} of yours, price {f.price} euros.",
    lambda f: f"One {f.item}, {f.price} euros on the invoice.",
)
_DELIVERED: tuple[Callable[[Facts], str], ...] = (
    lambda f: f"Your driver brought it {f.days} days ago.",
    lambda f: f"It was delivered {f.days} days ago.",
    lambda f: f"We have had it for {f.days} days now.",
    lambda f: f"That parcel arrived {f.days} days back.",
    lambda f: f"Delivery was {f.days} days ago.",
)


def message_of(random: Random, facts: Facts) -> str:
    """Return a ticket's text in varied prose."""
    who = random.choice(_CUSTOMER[facts.customer])
    place = random.choice(("in {}", "over in {}", "near the station of {}", "from {}")).format(facts.town)
    owner = f"{who} is {place}." if who.startswith("our ") else f"{who} {place}."
    fault = random.choice(_FAULTS)
    told = [
        owner[0].upper() + owner[1:],
        random.choice(_BOUGHT)(facts),
        random.choice(_DELIVERED)(facts),
        f"{fault[0].upper()}{fault[1:]}.",
    ]
    random.shuffle(told)
    return " ".join(filter(None, [random.choice(_OPENINGS), *told, random.choice(_WISHES)]))
