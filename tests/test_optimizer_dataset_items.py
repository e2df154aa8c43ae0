"""Items: one id for one question, and one item for several sources of it."""

from typing import Any

import msgspec
import pytest

from gateway.settings import NumericGrader
from optimizer.dataset.items import BadData, Item, item_of, item_of_request, parse_object, reconciled

GRADER = NumericGrader()


def asked(text: str, expected: Any = None, **fields: Any) -> Item:
    item = item_of({"messages": [{"role": "user", "content": text}]}, expected)
    return msgspec.structs.replace(item, **fields)


def test_a_question_is_one_item_wherever_it_comes_from() -> None:
    """White space and delivery make no difference; case and sampling settings stay with the question."""
    request = b'{"model": "m", "stream": true, "user": "u", "messages": [{"role": "user", "content": "What  is\\n1?"}]}'
    assert item_of_request(request).id == asked("What is 1?").id != asked("what is 1?").id
    assert b"stream" not in item_of_request(request).request


@pytest.mark.parametrize("body", [{}, {"messages": []}, {"messages": "x"}, {"messages": [5]}])
def test_a_body_without_messages_is_no_item(body: dict[str, Any]) -> None:
    """Nothing was asked."""
    with pytest.raises(BadData, match="messages"):
        item_of(body, 1)


def test_a_request_nested_too_deep_is_no_item() -> None:
    """Nor is anything else than an object."""
    for unreadable in (b"[" * 9999, b'{"messages": ' + b"[" * 9999, b"\xff", b""):
        with pytest.raises(BadData, match="not a JSON object"):
            parse_object(unreadable)
    with pytest.raises(BadData, match="not a JSON object"):
        parse_object(b"[1]")


def test_sources_of_one_question_become_one_item() -> None:
    """A label wins over none, the higher audit rate counts, and everybody behind the label is named."""
    complaints: list[str] = []
    sources = [
        ("1", asked("a")), ("2", asked("a", 5, audit_rate=0.0, labellers=("ann",))),
        ("3", asked("a", "5", audit_rate=0.5, labellers=("bob",))),
    ]  # fmt: skip
    (item,) = reconciled(sources, complaints, GRADER)
    assert (item.expected, item.audit_rate, item.labellers, complaints) == (5, 0.5, ("ann", "bob"), [])


def test_people_who_contradict_each_other_label_nothing() -> None:
    """Nor do two models; the complaint names both places."""
    for labelled_by in ("", "large"):
        complaints: list[str] = []
        sources = [(str(answer), asked("a", answer, labelled_by=labelled_by)) for answer in (1, 2)]
        assert reconciled(sources, complaints, GRADER) == []
        assert complaints == ["2: same input as 1, another expected value; both left out"]
