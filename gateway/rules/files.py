"""Rule sets as JSON files: read with a clear complaint, written with version, parent, hash and evidence."""

from pathlib import Path
from typing import Annotated, Any

import msgspec

from gateway.domain import Rule, RuleSet, Scratchpad
from gateway.errors import BadRequest
from gateway.forms import check_parts
from gateway.rules.plain_text import rules_from_lines
from gateway.teaching import MOST_NEAREST, Example, ExamplesMode, Worksheet

PLAIN = (".txt", ".md")
"""Suffixes of files with a rule on each line."""


class FileExample(msgspec.Struct):
    """An example in a file. A person who writes one by hand names no key: everybody may see it."""

    question: str
    answer: str
    origin: str = ""
    shared: bool | None = None
    key: str | None = None
    tenant: str | None = None

    def example(self) -> Example:
        """Return the example; without a word in the file it is shared, unless the file names its owner."""
        owned = self.key is not None or self.tenant is not None
        fields = msgspec.structs.asdict(self)
        return Example(**{**fields, "shared": not owned if self.shared is None else self.shared})


class RuleFile(msgspec.Struct):
    """The fields that are read from a rule set file. An export has more of them; those are passed over."""

    rules: list[Rule]
    task: str | None = None
    scratchpad: Scratchpad = "none"
    examples: list[FileExample] = []
    examples_mode: ExamplesMode = "nearest"
    nearest: Annotated[int, msgspec.Meta(ge=1, le=MOST_NEAREST)] = 4
    worksheet: Worksheet | None = None


_file = msgspec.json.Decoder(RuleFile)


def read_rule_set(path: Path, task: str) -> RuleSet:
    """Return an unpublished rule set for ``task``, from JSON or from plain text (``.txt``, ``.md``).

    Raises ``BadRequest`` with the mistake in the file.
    """
    try:
        content = path.read_bytes()
        if path.suffix in PLAIN:
            return rules_from_lines(content.decode(), task)
        read = _file.decode(content)
    except OSError as error:
        raise BadRequest(f"cannot read {path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"{path} is not a rule set: {error}") from error
    if read.task is not None and read.task != task:
        raise BadRequest(f"{path} holds rules for task {read.task!r}, not {task!r}")
    if any(not rule.text.strip() for rule in read.rules):
        raise BadRequest(f"{path} holds a rule without text")
    rule_set = RuleSet(
        task=task,
        scratchpad=read.scratchpad,
        rules=tuple(read.rules),
        examples=tuple(example.example() for example in read.examples),
        examples_mode=read.examples_mode,
        nearest=read.nearest,
        worksheet=read.worksheet,
    )
    try:
        check_parts(rule_set)
    except BadRequest as error:
        raise BadRequest(f"{path}: {error.message}") from error
    return rule_set


def to_dict(rule_set: RuleSet) -> dict[str, Any]:
    """Return a rule set as an export holds it."""
    return {**msgspec.to_builtins(rule_set), "hash": rule_set.hash}
