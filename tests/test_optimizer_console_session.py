"""Sealed sessions: nobody forges one, and each ends with its time or its key."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.console.session import ConsoleSession, form_token, opened, sealed
from optimizer.console.visitors import Visitor

SECRET = b"s" * 32
ANNA = Visitor(name="anna", role="read", digest="sha256:aa")
COOKIE = sealed(ConsoleSession(name="anna", expires=100), SECRET, ANNA.digest)


def holders(name: str) -> list[Visitor]:
    """Anna alone."""
    return [ANNA] if name == "anna" else []


def test_a_session_opens_until_its_time() -> None:
    """And not at its last second."""
    assert opened(COOKIE, SECRET, holders, 99.9) == ANNA
    assert opened(COOKIE, SECRET, holders, 100.0) is None


def test_a_session_ends_with_its_key() -> None:
    """With another secret of the same name, or none, it is over; during a rotation either opens it."""
    other = msgspec.structs.replace(ANNA, digest="sha256:bb")
    assert opened(COOKIE, SECRET, lambda _: [other], 1.0) is None
    assert opened(COOKIE, SECRET, lambda _: [], 1.0) is None
    assert opened(COOKIE, SECRET, lambda _: [other, ANNA], 1.0) == ANNA


def test_the_secret_seals() -> None:
    """A cookie and a form of another secret are worth nothing."""
    assert opened(COOKIE, b"t" * 32, holders, 1.0) is None
    assert form_token(SECRET, COOKIE) != form_token(b"t" * 32, COOKIE)
    assert form_token(SECRET, COOKIE) != form_token(SECRET, "")


@pytest.mark.parametrize("name", ["anna ", "änna", "a\nb", "x" * 300])
def test_any_name_survives_the_cookie(name: str) -> None:
    """The cookie holds plain letters only."""
    cookie = sealed(ConsoleSession(name=name, expires=100), SECRET, ANNA.digest)
    assert cookie.isascii() and " " not in cookie and "\n" not in cookie and ";" not in cookie
    assert opened(cookie, SECRET, lambda known: [ANNA] if known == name else [], 1.0) == ANNA


@given(st.text(max_size=200))
def test_no_other_text_opens(text: str) -> None:
    """Whatever stands in the cookie."""
    assert text == COOKIE or opened(text, SECRET, holders, 1.0) is None


@given(st.integers(0, len(COOKIE) - 1), st.sampled_from("0af.A_-"))
def test_a_changed_cookie_does_not_open(at: int, letter: str) -> None:
    """Not even by one letter."""
    changed = COOKIE[:at] + letter + COOKIE[at + 1 :]
    assert changed == COOKIE or opened(changed, SECRET, holders, 1.0) is None
