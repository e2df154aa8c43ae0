"""Rule sets as JSON files: read with a clear complaint, written with version, parent, hash and evidence."""

from pathlib import Path
from typing import Any

import msgspec

from gateway.domain import Rule, RuleSet, Scratchpad
from gateway.errors import BadRequest


class RuleFile(msgspec.Struct):
    """What a rule set file must hold; an export has more, which is not read back."""

    rules: list[Rule]
    task: str | None = None
    scratchpad: Scratchpad = "none"


_file = msgspec.json.Decoder(RuleFile)


def read_rule_set(path: Path, task: str) -> RuleSet:
    """An unpublished rule set for ``task``. Raises ``BadRequest`` with what is wrong in the file."""
    try:
        found = _file.decode(path.read_bytes())
    except OSError as error:
        raise BadRequest(f"cannot read {path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"{path} is not a rule set: {error}") from error
    if found.task is not None and found.task != task:
        raise BadRequest(f"{path} holds rules for task {found.task!r}, not {task!r}")
    if any(not rule.text.strip() for rule in found.rules):
        raise BadRequest(f"{path} holds a rule without text")
    return RuleSet(task=task, scratchpad=found.scratchpad, rules=tuple(found.rules))


def written(rule_set: RuleSet) -> dict[str, Any]:
    """A rule set as an export holds it."""
    return {**msgspec.to_builtins(rule_set), "hash": rule_set.hash}
