"""Replies caught in a loop: the end repeats itself, as small models do.

Exact repetition only. A loop with a counter ("Step 31: ... Step 32: ...") looks like a table, and is missed.
"""

import re

_TAIL, _PROBE = 6000, 16
"""Characters at the end of a reply that are looked at, and of the piece by which repetition is found."""
_WORD = re.compile(r"[^\W\d_]+")


def loops(text: str, *, cut: bool) -> bool:
    """Decide whether a reply repeats itself up to its end.

    A reply cut off by a limit has no end of its own: six repetitions are a loop, if they have letters at all. A reply
    that ended by itself may be a list of equal labels or a refrain: only a wording of four different words counts
    there, ten times in a row.
    """
    if cut:
        unit = _repeated(text, times=6, least=120)
        return unit is not None and any(letter.isalpha() for letter in unit)
    unit = _repeated(text, times=10, least=200)
    return unit is not None and len(set(_WORD.findall(unit))) >= 4


def _repeated(text: str, *, times: int, least: int) -> str | None:
    """Return the shortest piece at the end of a text that fills ``least`` characters and comes ``times`` times in a
    row.

    The last characters of the text recur at every repetition. Only those distances are tried, at most ``_TAIL`` of
    them, each by one comparison.
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
