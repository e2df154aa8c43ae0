"""A transcript: the text of a reply from its pieces."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.formats.transcript import Transcript


@given(st.lists(st.text() | st.none()))
def test_the_text_is_all_of_its_pieces_in_order(pieces: list[str | None]) -> None:
    """What says nothing adds nothing."""
    transcript = Transcript()
    for piece in pieces:
        transcript.add_text(piece)
    assert transcript.text == "".join(piece or "" for piece in pieces)


def test_halves_of_a_pair_become_one_character() -> None:
    """Some upstreams cut a character in two; one half alone cannot be stored."""
    transcript = Transcript()
    for piece in ("a\ud83d", "\ude00b", "\ud83d"):
        transcript.add_text(piece)
    assert transcript.text == "a\U0001f600b\ufffd"
