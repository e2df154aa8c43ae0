"""Prompts for the strong model and for a judge, as Markdown files beside this module. Does not fill their blanks.

A blank is a name in double braces. A file with other blanks than the expected ones is refused at once, so an edited
prompt cannot silently lose its data. An operator's folder may hold files of the same names: they are used in place of
ours.
"""

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from gateway.domain import Value
from gateway.errors import ConfigurationError

_LIMITS = ("most", "longest", "form")
BLANKS: Mapping[str, tuple[str, ...]] = {
    "boundary": ("instruction", "records", *_LIMITS),
    "conventions": ("instruction", "labels", "records", *_LIMITS),
    "judge": ("mark", "request", "a", "b", "reference", "criteria"),
    "procedure": ("instruction", "mistakes", "manner", "successes", "form"),
    "repair": ("refused", "longest", "form"),
    "revise": ("rules", "instruction", "records", "refused", *_LIMITS),
    "tools": ("instruction", "tools", "records", *_LIMITS),
    "worksheet": ("instruction", "labels", "records", "fields"),
    "worksheet_revise": ("worksheet", "instruction", "labels", "records", "fields"),
}
"""The blanks of each prompt, by its name."""
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
        self.text = text.strip()

    def filled(self, **values: str) -> str:
        """The text with every blank filled; braces inside the values stay what they are."""
        return _BLANK.sub(lambda match: values[match[1]], self.text)


class PromptFolder(Value, frozen=True):
    """The prompts of an installation: an operator's files, and ours for the others."""

    folder: Path | None = None

    def load(self, name: str) -> Prompt:
        """Return the prompt ``name``. Raises ``ConfigurationError``."""
        source = f"{name}.md"
        own = self.folder / source if self.folder is not None else None
        try:
            if own is not None and own.is_file():
                source, text = str(own), own.read_text(encoding="utf-8")
            else:
                text = resources.files(__name__).joinpath(source).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(source, [f"cannot be read: {error}"]) from error
        return Prompt(source, text, frozenset(BLANKS[name]))

    def mistakes(self) -> list[str]:
        """List what is wrong with the operator's files: an unknown name, a missing or unknown blank."""
        if self.folder is None:
            return []
        if not self.folder.is_dir():
            return [f"there is no folder {self.folder}"]
        mistakes = []
        for file in sorted(self.folder.glob("*.md")):
            if file.stem not in BLANKS:
                mistakes.append(f"{file.name} is no prompt: {', '.join(f'{name}.md' for name in BLANKS)} are")
                continue
            try:
                self.load(file.stem)
            except ConfigurationError as error:
                mistakes += [f"{file.name}: {mistake}" for mistake in error.mistakes]
        return mistakes


SHIPPED = PromptFolder()
