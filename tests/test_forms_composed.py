"""The form of a whole version."""

from typing import Any

import pytest

from gateway.domain import Rule, RuleSet
from gateway.errors import BadRequest
from gateway.forms import FORMS, check_parts, composed
from gateway.forms.composed import LONGEST_EXAMPLE, MOST_EXAMPLES, MOST_FIXED
from gateway.teaching import Example

EXAMPLE = Example(question="2 + 2", answer="4", shared=True)


@pytest.mark.parametrize("name", FORMS)
def test_a_version_without_newer_parts_is_its_scratchpad(name: Any) -> None:
    """Old rule sets serve as before."""
    assert composed(RuleSet(task="sums", scratchpad=name, rules=(Rule(text="Work."),))) is FORMS[name]


def test_examples_stand_around_the_scratchpad() -> None:
    """The description names every part."""
    form = composed(RuleSet(task="sums", scratchpad="two_pass", examples=(EXAMPLE,), nearest=3))
    assert form.name == "examples+two_pass" and form.works and form.most_passes == 2
    assert "3 nearest examples" in form.description and "first pass" in form.description


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ({"rules": (Rule(text="Work.", when="text =="),)}, "condition"),
        ({"examples": (EXAMPLE,) * (MOST_EXAMPLES + 1)}, "at most 5000 nearest"),
        ({"examples": (EXAMPLE,) * (MOST_FIXED + 1), "examples_mode": "fixed"}, "at most 64 fixed"),
        ({"examples": (EXAMPLE, Example(question=" ", answer="4"))}, "example 2 has no question"),
        ({"examples": (Example(question="2", answer="4" * (LONGEST_EXAMPLE + 1)),)}, "example 1"),
    ],
)
def test_a_version_that_cannot_serve_is_refused(parts: dict[str, Any], complaint: str) -> None:
    """With the part that is wrong."""
    with pytest.raises(BadRequest, match=complaint):
        check_parts(RuleSet(task="sums", **parts))


def test_a_good_version_passes() -> None:
    """Nothing is said."""
    check_parts(RuleSet(task="sums", rules=(Rule(text="Work.", when="text != ''"),), examples=(EXAMPLE,)))
