"""The rows of the live benchmark: ways to bring one small model to answer, each measured on the same test items.

A row searches (or not), then answers every test item; what it asks for goes through the meter. Grades nothing.
"""

import json
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import msgspec

from gateway.domain import Scratchpad
from gateway.teaching import Decide
from tests.bench.distillation.live import own, peers
from tests.bench.distillation.live.data import Question, messages
from tests.bench.distillation.live.meter import TIMEOUT_S, Used
from tests.bench.distillation.live.own import AT_ONCE, Run, Shots
from tests.bench.distillation.live.serving import gateway
from tests.bench.distillation.live.teacher import Taught

CHAIN_OF_THOUGHT: Final = (
    "Solve the problem step by step, and write out every calculation. Then write the final answer on the last line, as"
    " 'Answer: ' and the number."
)
FIXED, NEAREST = 8, 4
"""Examples of the rows without rules."""

Answered = tuple[list[str], Any]
"""What the caller receives for each test item, and what was found."""


class Row(msgspec.Struct, kw_only=True):
    """What came of a row."""

    name: str
    replies: tuple[str, ...]
    """What the caller receives for each test item."""
    found: Any
    """The prompt, rules or program that was used, and what the search said of it."""
    search: Used
    test: Used
    taught: Taught = msgspec.field(default_factory=Taught)


def ask(url: str, model: str, chat: Sequence[Mapping[str, str]], most_output: int) -> str:
    """One reply, at temperature 0."""
    body = {"model": model, "messages": list(chat), "temperature": 0, "max_tokens": most_output}
    request = urllib.request.Request(  # noqa: S310  # an address on loopback
        f"{url}/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:  # noqa: S310
        return json.load(reply)["choices"][0]["message"]["content"] or ""


def _asked(one: Run, url: str, model: str, prompt: str, items: Sequence[Question] = ()) -> list[str]:
    def reply(question: Question) -> str:
        return ask(url, model, messages(prompt, question.question), one.most_output)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(reply, items or one.questions.test))


def prompted(name: str, prompt: str = "") -> Callable[[Run], Answered]:
    """A row without a search; without a prompt, the operator's."""

    def answered(one: Run) -> Answered:
        text = prompt or one.questions.prompt
        return _asked(one, f"{one.address}/{name}/test/v1", "model", text), {"prompt": text}

    return answered


def truth_in_prompt(one: Run) -> Answered:
    """The true rules behind the operator's prompt, where they are known: the most that rules in words can do."""
    if not one.questions.truth:
        raise own.DoesNotApply("nobody knows the true rules")
    prompt = f"{one.questions.prompt}\n\nRules, the first that fits decides:\n{one.questions.truth}"
    return _asked(one, f"{one.address}/true-rules/test/v1", "model", prompt), {"prompt": prompt}


def numeric_only(answered: Callable[[Run], Answered]) -> Callable[[Run], Answered]:
    """A row that has only been made for questions with a number as the answer."""

    def given(one: Run) -> Answered:
        if one.questions.grader != "numeric":
            raise own.DoesNotApply("it is for questions with a number as the answer")
        return answered(one)

    return given


def ours(name: str, *, rounds: int = 3, strong: str = "") -> Callable[[Run], Answered]:
    """``preceptor distill --activate``, then the base prompt through the gateway that serves what came of it."""

    def answered(one: Run) -> Answered:
        search, test = own.configurations(one, name, rounds=rounds, strong=strong)
        outcome = own.distilled(search, one.questions)
        with gateway(test) as url:
            return _asked(one, url, f"task:{one.questions.task}", one.questions.prompt), outcome

    return answered


def after_a_change(one: Run) -> Answered:
    """Ours learns a policy, the policy changes, ours learns again: the last is measured, on tickets of the new one."""
    later = one.questions.later
    if later is None:
        raise own.DoesNotApply("its policy never changes")
    search, test = own.configurations(one, "changed")
    first = own.distilled(search, one.questions)
    with gateway(test) as url:
        before = _asked(one, url, f"task:{later.task}", later.prompt, later.test)
    second = own.distilled(search, later)
    with gateway(test) as url:
        after = _asked(one, url, f"task:{later.task}", later.prompt, later.test)
    return after, {**second, "first": first, "stale": before}


def served(name: str, content: Callable[[Run], dict[str, Any]]) -> Callable[[Run], Answered]:
    """A version that nobody searched for, through the gateway."""

    def answered(one: Run) -> Answered:
        rules = {"rules": [], **content(one)}
        test = own.configurations(one, name)[1]
        own.activated(test, one.questions.task, rules)
        with gateway(test) as url:
            return _asked(one, url, f"task:{one.questions.task}", one.questions.prompt), rules

    return answered


def worksheet(name: str, *, revisions: int = 0, decide: Decide = "state") -> Callable[[Run], Answered]:
    """The strong model's worksheet and nothing else."""
    return served(name, lambda one: own.written_worksheet(one, name, revisions=revisions, decide=decide))


def form_alone(name: str, form: Scratchpad) -> Callable[[Run], Answered]:
    """A scratchpad without any rule, which our engine never proposes: what is left of a gain is the rules'."""
    return served(name, lambda one: {"scratchpad": form})


def child(name: str, peer: str, **how: Any) -> Callable[[Run], Answered]:
    """A row that another project's optimiser answers, in its own environment, with the same strong model.

    Two such rows run at once, one call at a time each, so that each keeps a copy of the model and its prompt cache.
    """

    def answered(one: Run) -> Answered:
        if one.budget is None:
            raise own.DoesNotApply("it may spend what ours spent: run ours first, or give --budget")
        search = f"{one.address}/{name}/search"
        taught = one.strong == "teacher"
        told = {
            "search": search, "test": f"{one.address}/{name}/test",
            "strong": f"{one.teacher}/{name}" if taught else search, "taught": one.characters if taught else None,
            "grade": f"{one.address}/grade", "grader": one.questions.grader, "prompt": one.questions.prompt,
            "most_output": one.most_output, "train": msgspec.to_builtins(one.questions.train),
            "items": msgspec.to_builtins(one.questions.test), "seed": one.seed, "budget": one.budget,
            "at_once": 1, "selection": one.selection,
        }  # fmt: skip
        result = peers.asked(peer, told | how, cache=one.cache, log=one.folder / f"{name}.log")
        return result["replies"], result["found"]

    return answered


def _shots(mode: Shots, count: int) -> Callable[[Run], dict[str, Any]]:
    return lambda one: own.shots(one, mode, count)


ROWS: Final[Mapping[str, Callable[[Run], Answered]]] = {
    "base": prompted("base"),
    "chain-of-thought": numeric_only(prompted("chain-of-thought", CHAIN_OF_THOUGHT)),
    "true-rules": truth_in_prompt,
    "fixed-8": served("fixed-8", _shots("fixed", FIXED)),
    "nearest-4": served("nearest-4", _shots("nearest", NEAREST)),
    "ours": ours("ours"),
    "rules-alone": served("rules-alone", own.written_rules),
    "worksheet-alone": worksheet("worksheet-alone"),
    "worksheet-answers": worksheet("worksheet-answers", decide="answer"),
    "worksheet-revised": worksheet("worksheet-revised", revisions=1),
    "ours-1-round": ours("ours-1-round", rounds=1),
    "ours-2-rounds": ours("ours-2-rounds", rounds=2),
    "ours-4-rounds": ours("ours-4-rounds", rounds=4),
    "changed": after_a_change,
    "own-teacher": ours("own-teacher", strong="self"),
    "gepa": child("gepa", "gepa"),
    "dspy-rules": child("dspy-rules", "dspy", optimiser="InferRules"),
    "dspy-mipro": child("dspy-mipro", "dspy", optimiser="MIPROv2"),
    "tags-alone": form_alone("tags-alone", "tags"),
    "two-pass-alone": form_alone("two-pass-alone", "two_pass"),
    "dspy-cot": child("dspy-cot", "dspy", program="ChainOfThought"),
    "dspy-predict": child("dspy-predict", "dspy", program="Predict"),
}
