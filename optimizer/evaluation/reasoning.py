"""The reply of a model without its reasoning, where the server leaves both in one text.

Reasoning models write between ``<think>`` and ``</think>``; some servers drop the opening tag. A reply cut off inside
its reasoning has no answer at all: nothing in it may be taken for a rule or a verdict.
"""

import re

_END = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_BEGINNING = re.compile(r"\s*<think(?:ing)?>", re.IGNORECASE)


def without_reasoning(text: str) -> str:
    """Return the text behind the last closing tag; empty if the reasoning never ends."""
    ends = [match.end() for match in _END.finditer(text)]
    if ends:
        return text[ends[-1] :].strip()
    return "" if _BEGINNING.match(text) else text
