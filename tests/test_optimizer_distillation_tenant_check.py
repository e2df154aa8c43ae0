"""A gain that is one tenant's and everybody else's loss."""

from optimizer.dataset.items import Item
from optimizer.distillation.tenant_check import helps_one_only, one_tenant_only, voice_of
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


def asked(right: str, voices: str) -> list[Trial]:
    """Trials of tenants with one letter; a dot is nobody."""
    return [
        Trial(
            item=Item(id=str(place), request=b"{}", expected=1, tenant=None if name == "." else name),
            answer=Answer(text=""), correct=mark == "+",
        )
        for place, (mark, name) in enumerate(zip(right, voices, strict=True))
    ]  # fmt: skip


def test_a_gain_must_reach_two_where_three_are_named() -> None:
    """Nobody else loses, and nobody else gains: the rule may still say something to all."""
    before, after = "--++--", "++++--"
    assert helps_one_only(asked(before, "aabbcc"), asked(after, "aabbcc")) == "tenant a"
    assert "nobody else got a better reply" in one_tenant_only(asked(before, "aabbcc"), asked(after, "aabbcc"), {})
    for voices in ("abbbcc", "aabbbb", "a.bbcc"):
        assert helps_one_only(asked(before, voices), asked(after, voices)) == ""


def test_a_voice_is_an_end_user_or_else_a_key() -> None:
    """The end user says more; nobody has no name."""
    item = Item(id="x", request=b"{}", expected=1, key="team")
    assert voice_of(item) == "key team"
    assert voice_of(Item(id="x", request=b"{}", expected=1, key="team", tenant="ann")) == "tenant ann"
    assert voice_of(Item(id="x", request=b"{}", expected=1)) == ""
