"""Turn a text into words, with one placeholder for numbers, addresses, names and documents: values of one request.

Values without a recognisable form (a tone of voice, a document without marks around it) are left to ``partition``.
Listings show these words only, so that they give nobody away.
"""

import functools
import re
from collections.abc import Iterator

from optimizer.discovery.unspaced import is_unspaced, joined, segments, without_dates

VALUE = "\u2022"
"""The placeholder for a number, an address, a date, a name, or a document between tags."""
HEAD, TAIL = 4800, 1800
"""Characters that are read, from both ends of a text: instructions stand there, documents between them."""
_LONGEST = 60
"""Characters of a word; longer ones are data."""
_ELEMENT = re.compile(
    r"<(document|documents|doc|docs|context|passage|article|manual|source|sources|data|input|email|message|history"
    r"|conversation|transcript|profile|ticket|chunk|chunks|result|results|search_results|text|content|page|file|code"
    r"|diff)(?:\s[^<>]*)?>",
    re.IGNORECASE,
)
"""Tags around text that is filled into a prompt; text between other tags may be instructions."""
_DATE = re.compile(
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?|(?:mon|tues|wednes|thurs|fri|satur|sun)day)\W*",
    re.IGNORECASE,
)
_ENDS = (".", "!", "?", ":", '."', '?"', "-", "*", "#", ">", "|", "\u3002", "\uff01", "\uff1f", "\uff1a")
"""After these a capital letter begins a sentence, a heading or a list, and no name."""


def words(text: str) -> tuple[str, ...]:
    """Return the words that are compared. Neighbouring values count as one; a long text loses its middle."""
    text = without_dates(_emptied(text), VALUE)
    if len(text) <= HEAD + TAIL:
        return tuple(_forms(text))
    head, tail = text[:HEAD], text[-TAIL:]
    if not is_unspaced(head[-1] + tail[0]):  # a cut word is no word of the template
        head, tail = head.rpartition(" ")[0], tail.partition(" ")[2]
    return (*_forms(head), VALUE, *_forms(tail))


def shortened(text: str, most: int) -> str:
    """Return the beginning and end of a text, at most ``most`` characters, without its values."""
    return abridged(joined(words(text)), most)


def abridged(text: str, most: int) -> str:
    """Return the beginning and end of a text whose values are hidden already, at most ``most`` characters."""
    half = (most - 3) // 2
    return text if len(text) <= most else f"{text[:half].rstrip()} \u2026 {text[-half:].lstrip()}"


def _emptied(text: str) -> str:
    """Replace all text between data tags by the placeholder."""
    pieces: list[str] = []
    unclosed: set[str] = set()
    kept = 0
    for tag in _ELEMENT.finditer(text):
        name = tag[1]
        if tag.start() < kept or name in unclosed:
            continue
        close = text.find(f"</{name}", tag.end())
        if close < 0:
            unclosed.add(name)
            continue
        pieces += [text[kept : tag.end()], f" {VALUE} "]
        kept = close
    return "".join([*pieces, text[kept:]])


def _forms(text: str) -> Iterator[str]:
    value = False
    for line in text.splitlines():
        begins = True
        for token in (segment for word in line.split() for segment in segments(word)):
            if _is_value(token) or (not begins and _is_name(token)):
                if not value:
                    yield VALUE
                value = True
            else:
                yield token
                value = False
            begins = token.endswith(_ENDS)


@functools.lru_cache(maxsize=100_000)
def _is_value(token: str) -> bool:
    return (
        token == VALUE
        or len(token) > _LONGEST
        or any(letter.isdigit() for letter in token)
        or "@" in token[1:]
        or "://" in token
        or token.startswith("www.")
        or (token[0].isupper() and _DATE.fullmatch(token) is not None)
    )


@functools.lru_cache(maxsize=100_000)
def _is_name(token: str) -> bool:
    bare = token.strip("()[]{}<>\"'\u201c\u201d\u2018\u2019.,;:!?")
    return len(bare) > 1 and (bare.istitle() or bare.capitalize() == bare != bare.casefold())
