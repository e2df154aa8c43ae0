"""A gain that is one tenant's and everybody else's loss."""

from optimizer.dataset.items import Item
from optimizer.distillation.tenant_check import one_tenant_only
from optimizer.evaluation.evaluator import Answer, Trial

TENANTS = {f"a{number}": "ann" for number in range(9)} | {f"b{number}": "ben" for number in range(9)}


def trials(right: str, ids: list[str]) -> list[Trial]:
    return [
        Trial(item=Item(id=id_, request=b"{}", expected=1), answer=Answer(text=""), correct=mark == "+")
        for id_, mark in zip(ids, right, strict=True)
    ]


def said(before: str, after: str, ids: list[str]) -> str:
    return one_tenant_only(trials(before, ids), trials(after, ids), TENANTS)


def test_what_one_tenant_gains_and_the_others_lose_is_refused() -> None:
    """However much it gains; the reason has the others' numbers."""
    ids = ["a0", "a1", "a2", "a3", "b0", "b1", "x"]
    assert said("----++-", "++++--+", ids) == (
        "the gain is one tenant's: of everybody else's items it fixed 1 and broke 2"
    )


def test_what_helps_several_is_not_one_tenant_s() -> None:
    """Nor is what the others do not notice."""
    assert said("----", "++++", ["a0", "a1", "b0", "b1"]) == ""
    assert said("--++", "++++", ["a0", "a1", "b0", "b1"]) == ""


def test_where_nobody_is_named_there_is_nothing_to_refuse() -> None:
    """A single tenant's gain is a gain."""
    assert said("--+", "++-", ["x", "y", "z"]) == ""
    assert said("--", "++", ["a0", "a1"]) == ""
