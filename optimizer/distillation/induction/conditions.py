"""The lint of a rule's condition: CEL over the question's words, and no word that would single out a user.

A condition on the words of few conversations would make a rule for one tenant, unseen in the replies to all others.
"""

import re

from gateway.errors import BadRequest
from gateway.forms.cel import parse_condition
from optimizer.distillation.induction.lint import Corpus

_LITERAL = re.compile(r"\"((?:[^\"\\\n]|\\[^\n])*)\"|'((?:[^'\\\n]|\\[^\n])*)'")
_WORD = re.compile(r"\w+")


def condition_problems(when: str, known: Corpus) -> list[str]:
    """Return every reason against a condition; none for a rule without any."""
    try:
        condition = parse_condition(when)
    except BadRequest as error:
        return [f"has a condition of another form: {error.message}"]
    if condition.names - {"text"}:
        return [f"has a condition on {', '.join(sorted(condition.names - {'text'}))}: only text is known"]
    literals = ["".join(match.groups(default="")) for match in _LITERAL.finditer(when)]
    words = [word for literal in literals for word in _WORD.findall(literal.casefold())]
    rare = [word for word in words if not any(word in common for common in known.common)]
    return [f"has a condition on words of few conversations ({', '.join(rare[:3])})"] if rare else []
