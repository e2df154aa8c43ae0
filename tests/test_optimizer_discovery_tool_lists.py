"""Tool lists of one kind of request, and of several."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from optimizer.discovery.tool_lists import ToolList, divide, fixed_and_varying


def kinds(lists: Mapping[ToolList, int]) -> list[list[ToolList]]:
    return [sorted(kind) for kind in divide(lists)]


def test_lists_that_share_most_tools_are_one_kind() -> None:
    """Optional tools come and go."""
    assert kinds({("a", "b", "c"): 50, ("a", "b", "c", "d"): 40, ("a", "b", "e"): 30}) == [
        [("a", "b", "c"), ("a", "b", "c", "d"), ("a", "b", "e")]
    ]


def test_lists_without_a_tool_in_common_are_two_kinds() -> None:
    """Two products may have the same instructions; so may a request without tools."""
    assert kinds({("a", "b"): 50, ("c", "d"): 40, (): 10}) == [[("a", "b")], [("c", "d")], [()]]


def test_two_frequent_lists_with_one_tool_in_common_are_two_kinds() -> None:
    """Many products have a search."""
    assert len(kinds({("search", "a"): 50, ("search", "b"): 50})) == 2


def test_rare_lists_with_a_tool_in_common_are_one_kind() -> None:
    """Tools that are retrieved for each request hardly ever come in the same list."""
    retrieved = {tuple(sorted((f"t{n}", f"t{(n * 7 + 3) % 30}", f"t{(n + 1) % 30}"))): 1 for n in range(30)}
    assert len(kinds(retrieved)) == 1


def test_a_rare_list_joins_the_frequent_kind_with_most_tools_in_common() -> None:
    """It does not join two frequent kinds to one."""
    lists = {("a", "b", "c"): 50, ("d", "e", "f"): 50, ("a", "d", "e", "x", "y"): 1}
    assert kinds(lists) == [[("a", "d", "e", "x", "y"), ("d", "e", "f")], [("a", "b", "c")]]


def test_fixed_tools_are_offered_by_nearly_all() -> None:
    """The others come by frequency."""
    lists = [("a", "b"), ("a", "c"), ("a", "c")]
    assert fixed_and_varying(lists) == (("a",), ("c", "b"))


@given(
    st.dictionaries(
        st.lists(st.sampled_from("abcdefg"), unique=True).map(lambda t: tuple(sorted(t))), st.integers(1, 99)
    )
)
def test_every_list_is_in_one_kind(lists: dict[ToolList, int]) -> None:
    """Whatever is offered how often."""
    divided = divide(lists)
    assert sorted(tools for kind in divided for tools in kind) == sorted(lists)
    assert all(() not in kind or len(kind) == 1 for kind in divided)
