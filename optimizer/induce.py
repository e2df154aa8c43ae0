"""Induction: the strong model explains a group of mistakes, then writes rules that would have prevented them.

Mistakes are shown in groups of about the square root of their number, because one call with all of them yields worse
rules than several with a few. Reasons come before rules, as in Hypotheses-to-Theories (arXiv
2310.07064, section 3). What users wrote is shown as data, shortened and delimited. Does not measure any rule.
"""

import math
import re
from collections.abc import Sequence

import msgspec

from gateway.domain import Rule, Value
from gateway.pipeline.chat import Message, open_message
from optimizer import parser, prompts
from optimizer.evaluate import Bench, Model
from optimizer.graders.ungradable import text_of
from optimizer.items import Mistake
from optimizer.lint import Corpus, problems

SHOWN_CHARACTERS = 6000
"""Of all examples in one call: with instruction, reasons and rules it fits a context of 4096 tokens."""
INSTRUCTION_WORTH_SHOWING = 200
"""Characters. A shorter one says nothing that the replies do not show, and misleads a small teacher: shown it, a model
of 1.5 billion parameters never wrote that one should work in steps (0 of 16 trials; docs/experiments.md)."""
SHORT_REPLY = 100
"""Characters in which no working can have been written down."""
SUCCESSES_PER_GROUP = 2
SAME_RULE = 0.6
"""Share of common words from which on two rules count as one."""
_AT_ONCE = " It replied at once, without any working."
_REASON_LENGTH = 200  # characters
_TAGS = re.compile(r"<(?=/?(?:instruction|mistake|success|question|reply|expected)\b)", re.IGNORECASE)


class Rejected(Value, frozen=True):
    """Something that was tried or proposed and not taken, and why."""

    what: str
    why: str


class Induced(Value, frozen=True):
    """The rules worth testing, best supported first. ``note`` says why there is none, if so."""

    rules: tuple[Rule, ...]
    rejected: tuple[Rejected, ...]
    note: str = ""


class _Group(Value, frozen=True):
    mistakes: Sequence[Mistake]
    successes: Sequence[Mistake]


async def induce(
    bench: Bench,
    strong: Model,
    *,
    mistakes: Sequence[Mistake],
    successes: Sequence[Mistake],
    existing: Sequence[Rule],
    known: Corpus,
    max_rules: int,
) -> Induced:
    """Have the strong model explain every group and write rules; merge what passes the lint.

    Raises what ``Bench.ask`` raises, and ``ConfigurationError`` for a prompt file that was damaged.
    """
    prompt = prompts.load("rules", "instruction", "mistakes", "manner", "successes")

    async def teach(group: _Group) -> tuple[list[Rule], str]:
        question = _question(prompt, group, existing)
        body = msgspec.json.encode({"messages": [{"role": "user", "content": question}]})
        written = (await bench.ask(strong, body, None, purpose="induction")).text
        fallback = _clipped(written.strip().partition("\n")[0].removeprefix("Step 1: "), _REASON_LENGTH)
        rules = [
            Rule(text=rule.text, reason=_clipped(rule.reason, _REASON_LENGTH) or fallback)
            for rule in parser.rules_in(written)
        ]
        return rules, written

    taught = await bench.each(teach, grouped(mistakes, successes), stage="induction")
    proposals = [rules for rules, _ in taught]
    rejected: list[Rejected] = []
    sound = [[rule for rule in rules if _passes(rule, known, rejected)] for rules in proposals]
    kept = merged(sound, existing)
    rejected += [Rejected(what=rule.text, why=f"more than {max_rules} rules") for rule in kept[max_rules:]]
    return Induced(
        rules=tuple(kept[:max_rules]),
        rejected=tuple(rejected),
        note="" if kept else _why_none(proposals, rejected, taught[0][1] if taught else ""),
    )


def grouped(mistakes: Sequence[Mistake], successes: Sequence[Mistake]) -> list[_Group]:
    """About sqrt(n) groups of about sqrt(n) mistakes each, with successes for contrast, dealt like cards."""
    count = max(1, round(math.sqrt(len(mistakes))))
    return [
        _Group(mistakes=mistakes[start::count], successes=successes[start::count][:SUCCESSES_PER_GROUP])
        for start in range(count)
        if mistakes[start::count]
    ]


def merged(proposals: Sequence[Sequence[Rule]], existing: Sequence[Rule] = ()) -> list[Rule]:
    """One list without near-duplicates: what several groups proposed first, then every group's first, second, ..."""
    by_turn = sorted(
        ((turn, group, rule) for group, rules in enumerate(proposals) for turn, rule in enumerate(rules)),
        key=lambda entry: entry[:2],
    )
    chosen: list[tuple[Rule, set[int]]] = []
    for _, group, rule in by_turn:
        if any(_alike(rule, old) for old in existing):
            continue
        same = next((supporters for known, supporters in chosen if _alike(rule, known)), None)
        if same is None:
            chosen.append((rule, {group}))
        else:
            same.add(group)
    return [rule for rule, supporters in sorted(chosen, key=lambda entry: -len(entry[1]))]


def _alike(one: Rule, other: Rule) -> bool:
    words, others = (set(re.findall(r"\w+", rule.text.casefold())) for rule in (one, other))
    return len(words & others) >= SAME_RULE * max(1, len(words | others))


def _passes(rule: Rule, known: Corpus, rejected: list[Rejected]) -> bool:
    found = problems(rule.text, known)
    if found:
        rejected.append(Rejected(what=_clipped(rule.text, _REASON_LENGTH), why="; ".join(found)))
    return not found


def _why_none(proposals: Sequence[Sequence[Rule]], rejected: Sequence[Rejected], first_reply: str) -> str:
    count = sum(map(len, proposals))
    if not count:
        shown = _clipped(" ".join(first_reply.split()), _REASON_LENGTH)
        return f"the strong model wrote no usable rule: its replies hold no list of rules (the first: {shown!r})"
    if rejected:
        return (
            f"the strong model wrote no usable rule: all {count} were refused or known"
            f" ({rejected[0].what!r} {rejected[0].why})"
        )
    return f"the strong model wrote no new rule: all {count} are in the active rule set already"


def _question(prompt: prompts.Prompt, group: _Group, existing: Sequence[Rule]) -> str:
    room = SHOWN_CHARACTERS // (len(group.mistakes) + len(group.successes) + 1)
    told, _ = conversation(group.mistakes[0].request)
    instruction = told.strip() if len(told) >= INSTRUCTION_WORTH_SHOWING else ""
    if existing:
        instruction += "\n\nRules that it has already:\n" + "\n".join(f"- {rule.text}" for rule in existing)
    right = "\n".join(_example("success", one, room) for one in group.successes)
    return prompt.filled(
        instruction=f"\n<instruction>{_as_data(instruction.strip(), room)}</instruction>\n" if instruction else "",
        mistakes="\n\n".join(_example("mistake", one, room) for one in group.mistakes),
        manner=_AT_ONCE if all(len(one.reply) <= SHORT_REPLY for one in group.mistakes) else "",
        successes=f"\nTo these it replied rightly:\n\n{right}\n" if right else "",
    )


def _example(kind: str, one: Mistake, room: int) -> str:
    _, question = conversation(one.request)
    expected = "(not known, but the reply was called wrong)" if one.expected is None else text_of(one.expected)
    return (
        f"<{kind}>\n<question>{_as_data(question, room // 2)}</question>\n"
        f"<reply>{_as_data(one.reply, room // 4)}</reply>\n"
        f"<expected>{_as_data(expected, room // 4)}</expected>\n</{kind}>"
    )


def conversation(request: bytes) -> tuple[str, str]:
    """The instruction (system or developer text) of a request, and the rest of it as text."""
    messages = [open_message(raw) for raw in msgspec.json.decode(request, type=_Request).messages]
    instruction = "\n".join(one.text() or "" for one in messages if one.role in ("system", "developer"))
    rest = [one for one in messages if one.role not in ("system", "developer")]
    if len(rest) == 1:
        return instruction, rest[0].text() or ""
    return instruction, "\n".join(map(_line, rest))


def _line(message: Message) -> str:
    return f"({message.role}) {message.text() or ''}"


class _Request(Value, frozen=True):
    messages: list[msgspec.Raw]


def _as_data(text: str, room: int) -> str:
    """Text that cannot close the tags around it, shortened in the middle."""
    return _TAGS.sub("&lt;", _clipped(text, room))


def _clipped(text: str, room: int) -> str:
    if len(text) <= room:
        return text
    half = max(1, (room - 5) // 2)
    return f"{text[:half]} ... {text[-half:]}"
