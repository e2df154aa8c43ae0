"""What leaves a text before others see it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.dataset.redact import marks, redacted

HEX = "9f86d081884c7d659a2feaa0c55ad015"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Write to ann.lee+x@mail.example.org, please", "Write to [e-mail 1], please"),
        ("use sk-proj-abc123def456 now", "use [token 1] now"),
        ("ghp_16C7e42F292c6912E7 leaked", "[token 1] leaked"),
        ("AKIAIOSFODNN7EXAMPLE", "[token 1]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln is it", "[token 1] is it"),
        ("Authorization: Bearer abc123.def456", "Authorization: Bearer [password 1]"),
        ("postgres://bob:hunter2@db.local/x", "postgres://[password 1]@db.local/x"),
        ("password = hunter2, ok", "[password 1], ok"),
        ('{"api_key": "abcd-efgh"}', '{"[password 1]"}'),
        ("My password is correcthorse.", "My [password 1]"),
        (f"hash {HEX} end", "hash [key 1] end"),
        ("Zm9vYmFyMTIzNDU2Nzg5MGFiY2RlZg==", "[key 1]"),
        ("Card 4111 1111 1111 1111 ok", "Card [card 1] ok"),
        ("To DE89 3704 0044 0532 0130 00 today", "To [account 1] today"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- x", "[private key 1] x"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE cut off", "[private key 1]"),
    ],
)
def test_a_secret_is_replaced_by_what_it_is(text: str, shown: str) -> None:
    """Found by its form, wherever it stands."""
    assert redacted(text) == (shown,)


@pytest.mark.parametrize(
    "text",
    [
        "What is 1042 plus twice 31?",
        "12345678901234567890 / 7 = 1763668414462081127.14",
        "4111 1111 1111 1112 has a wrong check digit",
        "Ann, 5 Main Street, +44 20 7946 0958",
        "def test_sum_of_all_squares_up_to_100(values): ...",
        "see chapter-12-of-the-great-gatsby and 2026-01-01T10:00:00",
        "the password must have 8 characters; the secret of a good life",
        "@decorator, a @ b, https://example.org/path",
        "------------------------------1",
        "0000000000000000",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    """Sums, names, identifiers and dates are what there is to learn from."""
    assert redacted(text) == (text,)


def test_equal_secrets_have_equal_marks_across_the_texts_of_one_example() -> None:
    """So that a wrong address in a reply can be seen to be wrong."""
    assert redacted("From a@x.org to b@x.org", "b@x.org", "c@x.org") == (
        "From [e-mail 1] to [e-mail 2]", "[e-mail 2]", "[e-mail 3]",
    )  # fmt: skip


@given(st.text(), st.text())
def test_no_address_gets_through(before: str, after: str) -> None:
    """Whatever stands around it, and without an error."""
    (shown,) = redacted(f"{before} ann@mail.example.org {after}")
    assert "ann@mail" not in shown


@given(st.text(alphabet="ab1-_=/+.@ :\n", max_size=400))
def test_what_is_redacted_stays_so(text: str) -> None:
    """A second time changes nothing that a first time left."""
    (once,) = redacted(text)
    assert redacted(once) == (once,)


def test_long_texts_take_no_longer_than_their_ends() -> None:
    """What is never shown need not be read; and nothing in a text makes the search slow."""
    (shown,) = redacted("a@" * 5_000_000)
    assert len(shown) < 100_100
    for hostile in ("a." * 50_000, "-" * 100_000, "1 " * 50_000, "ab1" * 33_000, "password " * 11_000, "a:" * 50_000):
        assert redacted(hostile)


def test_digits_in_a_row_do_not_multiply_the_work() -> None:
    """A text of 40 characters once took longer than the age of the universe: each digit doubled the attempts."""
    assert redacted("a" + "1" * 5_000 + "=") == ("[key 1]",)
    assert redacted("summary-2025-03-01-final-version") == ("summary-2025-03-01-final-version",)


def test_the_marks_of_a_text_are_those_that_stand_for_a_secret() -> None:
    """Other brackets are none."""
    assert marks(redacted("ann@home.example.org, sk-abc123def456, [note 1]")[0]) == {"[e-mail 1]", "[token 1]"}
