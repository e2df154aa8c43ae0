"""Replies that say the same over and over up to their end, as small models do that are caught in a loop.

Exact repetition only: a loop that counts ("Step 31: ... Step 32: ...") looks like a table, and is missed.
"""

import re

_TAIL, _PROBE = 6000, 16
"""Characters at the end of a reply that are looked at, and of the piece by which repetition is found."""
_WORD = re.compile(r"[^\W\d_]+")


def loops(text: str, *, cut: bool) -> bool:
    """Whether a reply repeats itself up to its end.

    What a limit cut off had no end of its own: there six times the same is a loop, if it has letters at all. What
    ended by itself may be a list of equal labels or a refrain: only a wording of four different words counts there,
    ten times in a row.
    """
    if cut:
        unit = _repeated(text, times=6, least=120)
        return unit is not None and any(letter.isalpha() for letter in unit)
    unit = _repeated(text, times=10, least=200)
    return unit is not None and len(set(_WORD.findall(unit))) >= 4


def _repeated(text: str, *, times: int, least: int) -> str | None:
    """The shortest piece that makes up the end of a text, so many ``times`` and ``least`` characters in a row.

    A piece that is repeated recurs where the text's last characters recur: only these distances are tried, at most
    ``_TAIL`` of them, each by one comparison.
    """
    tail = text[-_TAIL - _PROBE :].rstrip()[-_TAIL:]
    probe = tail[-_PROBE:]
    place = tail.rfind(probe, 0, -1)
    while place >= 0:
        unit = len(tail) - _PROBE - place
        span = max(unit * times, least)
        if span > len(tail):
            return None
        if tail[-span:-unit] == tail[unit - span :]:
            return tail[-unit:]
        place = tail.rfind(probe, 0, place + _PROBE - 1)
    return None
