"""Which task a request belongs to: named outright, or recognised from the configuration."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest, ModelNotFound
from gateway.formats.chat import open_chat
from gateway.formats.envelope import raw
from gateway.routing.classify import TASK_HEADER, Classifier
from gateway.settings import Match, Task


def classifier(**matches: Match) -> Classifier:
    return Classifier({name: Task(weak="w", strong="s", match=match) for name, match in matches.items()})


def task_of(
    tasks: Classifier, *, model: str = "gpt", system: Any = None, headers: dict[str, str] | None = None, **fields: Any
) -> str | None:
    messages = [{"role": "user", "content": "What is 2 + 2?"}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    body = bytes(raw({"model": model, "messages": messages, **fields}))
    return tasks.task_of(open_chat(body), (headers or {}).get)


def test_a_model_is_matched_literally() -> None:
    """The name that the client asks for, all of it and as it is written."""
    tasks = classifier(sums=Match(model="gpt-4o"))
    assert task_of(tasks, model="gpt-4o") == "sums"
    assert task_of(tasks, model="gpt-4o-mini") is None
    assert task_of(tasks, model="GPT-4o") is None


def test_a_header_is_matched_by_its_name_in_any_case_and_its_value() -> None:
    """HTTP knows no case in names; values are literal."""
    tasks = classifier(sums=Match(header={"X-Team": "maths"}))
    assert task_of(tasks, headers={"x-team": "maths"}) == "sums"
    assert task_of(tasks, headers={"x-team": "Maths"}) is None
    assert task_of(tasks) is None


def test_a_system_prompt_is_searched() -> None:
    """The expression may hit anywhere in the text, and in the text parts of a list."""
    tasks = classifier(sums=Match(system_prompt=r"(?i)\barithmetic\b"))
    assert task_of(tasks, system="You do Arithmetic.") == "sums"
    assert task_of(tasks, system=[{"type": "text", "text": "You do"}, {"type": "text", "text": "arithmetic"}]) == "sums"
    assert task_of(tasks, system="You do geometry.") is None
    assert task_of(tasks) is None


def test_a_long_system_prompt_is_searched_at_once() -> None:
    """A megabyte that would keep a backtracking engine busy for half a minute, and everybody else waiting."""
    tasks = classifier(words=Match(system_prompt="translate.*into (german|french)"))
    assert task_of(tasks, system="translate " * 100_000) is None
    assert task_of(tasks, system="translate " * 100_000 + "into french") == "words"


def test_everything_given_must_hold() -> None:
    """Model, header and system prompt narrow each other."""
    tasks = classifier(sums=Match(model="gpt", header={"x-a": "1", "x-b": "2"}, system_prompt="sum"))
    headers = {"x-a": "1", "x-b": "2"}
    assert task_of(tasks, model="gpt", headers=headers, system="sums") == "sums"
    assert task_of(tasks, model="other", headers=headers, system="sums") is None
    assert task_of(tasks, model="gpt", headers={"x-a": "1"}, system="sums") is None
    assert task_of(tasks, model="gpt", headers=headers, system="words") is None


@pytest.mark.parametrize("order", [("by_model", "by_header"), ("by_header", "by_model")])
def test_the_first_task_of_the_configuration_wins(order: tuple[str, str]) -> None:
    """The order of the file decides, whatever a task matches by."""
    matches = {"by_model": Match(model="gpt"), "by_header": Match(header={"x-a": "1"})}
    tasks = classifier(**{name: matches[name] for name in order})
    assert task_of(tasks, model="gpt", headers={"x-a": "1"}) == order[0]


PARTS = [None, r"summarise the contract", r"^translate\ the text$", r"(?i)summarise", "short", r"\d+ of the contract"]
TEXTS = ["", "translate the text", "please summarise the contract", "3 of the contract", "Summarise", "short"]


@given(data=st.data())
def test_thousands_of_tasks_are_recognised_as_few_are(data: st.DataObject) -> None:
    """However many there are and whatever they match by: the first that fits, as one look at each would find it."""
    match = st.builds(
        Match,
        model=st.sampled_from([None, "gpt", "other"]),
        header=st.dictionaries(st.sampled_from(["x-a", "x-b"]), st.sampled_from(["", "1", "2"])),
        system_prompt=st.sampled_from(PARTS),
    )
    some = data.draw(st.lists(match, max_size=6))
    places = data.draw(st.permutations(range(200)))
    noise = [Match(model=model, header={"x-c": str(number)}) if number % 2 else
             Match(model=model, system_prompt=f"nobody asks for number {number:05d}")
             for model in (None, "gpt") for number in range(150)]  # fmt: skip
    matches = dict(zip((f"some-{place}" for place in places), some, strict=False))
    many = {f"none-{number}": match for number, match in enumerate(noise)}
    mixed = dict(data.draw(st.permutations([*matches.items(), *many.items()])))
    few = classifier(**{name: match for name, match in mixed.items() if name in matches})
    model, system = data.draw(st.sampled_from(["gpt", "none"])), data.draw(st.sampled_from([None, *TEXTS]))
    headers = data.draw(st.dictionaries(st.sampled_from(["x-a", "x-b"]), st.sampled_from(["", "1", "2"])))
    asked: dict[str, Any] = {"model": model, "system": system, "headers": headers}
    assert task_of(classifier(**mixed), **asked) == task_of(few, **asked)


def test_a_task_without_a_match_is_only_named() -> None:
    """It does not catch every request."""
    tasks = classifier(sums=Match())
    assert task_of(tasks) is None
    assert task_of(tasks, model="task:sums") == "sums"


def test_a_client_names_a_task_in_three_ways() -> None:
    """As the model, in a header, or in the metadata; each wins over what the configuration would recognise."""
    tasks = classifier(sums=Match(), words=Match(model="gpt"))
    assert task_of(tasks, model="task:sums") == "sums"
    assert task_of(tasks, headers={TASK_HEADER: "sums"}) == "sums"
    assert task_of(tasks, metadata={"task": "sums"}) == "sums"
    assert task_of(tasks) == "words"


def test_a_model_that_names_no_task_is_not_found() -> None:
    """As OpenAI answers for a model that does not exist."""
    with pytest.raises(ModelNotFound, match=re.escape("task:words")):
        task_of(classifier(sums=Match()), model="task:words")


@pytest.mark.parametrize("name", ["words", ""])
def test_a_header_that_names_no_task_is_refused(name: str) -> None:
    """The header is ours alone, so a wrong name in it is a mistake and not somebody else's."""
    with pytest.raises(BadRequest) as caught:
        task_of(classifier(sums=Match(model="gpt")), headers={TASK_HEADER: name})
    assert (caught.value.status, caught.value.code) == (400, "task_not_found")


@pytest.mark.parametrize(
    "metadata", [{"task": "words"}, {"task": 3}, {"task": ["sums"]}, {}, None, "sums", ["sums"], 3]
)
def test_metadata_that_names_no_task_is_the_clients_own(metadata: Any) -> None:
    """Metadata has other users: an unknown name or an odd shape falls through to the configuration."""
    assert task_of(classifier(sums=Match(model="gpt")), metadata=metadata) == "sums"
    assert task_of(classifier(sums=Match(model="other")), metadata=metadata) is None


def test_what_is_remembered_depends_on_all_that_decides() -> None:
    """The same instructions with another header, another model or a header that is missing are another question."""
    tasks = classifier(
        maths=Match(header={"x-team": "maths"}, system_prompt="sum"),
        any=Match(model="gpt", system_prompt="sum"),
        other=Match(model="other", system_prompt="sum"),
    )
    for _ in range(2):
        assert task_of(tasks, system="sums", headers={"x-team": "maths"}) == "maths"
        assert task_of(tasks, system="sums", headers={"x-team": "art"}) == "any"
        assert task_of(tasks, system="sums") == "any"
        assert task_of(tasks, model="other", system="sums") == "other"
        assert task_of(tasks, system="tales") is None


@pytest.mark.parametrize("long", [1, 10_000], ids=["short", "long"])
def test_long_instructions_and_headers_are_recognised_without_being_remembered(long: int) -> None:
    """What clients choose must not fill the memory."""
    tasks = classifier(sums=Match(header={"x-team": "m" * long}, system_prompt="sum$"))
    text = "x" * long + "sum"
    for _ in range(2):
        assert task_of(tasks, system=text, headers={"x-team": "m" * long}) == "sums"
        assert task_of(tasks, system=text + "s", headers={"x-team": "m" * long}) is None
    assert tasks._cached.cache_info().currsize == (2 if long == 1 else 0)
