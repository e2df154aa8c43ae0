"""Prompts for the strong model and for a judge, as Markdown files beside this module. Does not fill their blanks.

A blank is a name in double braces. A file with other blanks than the expected ones is refused at once, so an edited
prompt cannot silently lose its data.
"""

import re
from importlib import resources

from gateway.errors import ConfigurationError

_BLANK = re.compile(r"\{\{\s*(\w+)\s*\}\}")


class Prompt:
    """A text with blanks, loaded and checked."""

    def __init__(self, source: str, text: str, blanks: frozenset[str]) -> None:
        """Raises ``ConfigurationError`` with every missing or unknown blank."""
        present = set(_BLANK.findall(text))
        mistakes = [f"the blank {{{{{name}}}}} is missing" for name in sorted(blanks - present)]
        mistakes += [f"the blank {{{{{name}}}}} is unknown" for name in sorted(present - blanks)]
        if mistakes:
            raise ConfigurationError(source, mistakes)
        self._text = text.strip()

    def filled(self, **values: str) -> str:
        """The text with every blank filled; braces inside the values stay what they are."""
        return _BLANK.sub(lambda match: values[match[1]], self._text)


def load(name: str, *blanks: str) -> Prompt:
    """The prompt in ``NAME.md``. Raises ``ConfigurationError``."""
    source = f"{name}.md"
    try:
        text = resources.files(__name__).joinpath(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(source, [f"cannot be read: {error}"]) from error
    return Prompt(source, text, frozenset(blanks))
