"""What every form promises to those who ask models with it."""

import pytest

from gateway.forms import FORMS, Form
from tests.conversations import asked, guided

EVERY_FORM = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def test_a_form_is_filed_under_its_name() -> None:
    """Rule sets name their form."""
    assert {form.name: form for form in FORMS.values()} == FORMS


@EVERY_FORM
def test_a_form_makes_no_more_passes_than_it_says(form: Form) -> None:
    """Budgets are reserved by that number; an answer that helps in nothing is the worst case."""
    steps = [form.first_pass(asked(), guided("Work."))]
    while (following := steps[-1].following()) is not None:
        steps.append(following)
    assert len(steps) == form.most_passes
    assert steps[-1].shown


@EVERY_FORM
def test_a_form_that_works_needs_room(form: Form) -> None:
    """Without room there is no working, and without a working there is always room."""
    assert (form.obstacle(asked(tools=[{"type": "function"}])) == "tools") is form.works
    assert form.obstacle(asked()) is None and form.for_request(asked()) is form and form.description
