"""Rule sets and cycles after the exchanges that they stood on were deleted. Pure."""

import msgspec

from gateway.domain import Activation, CycleRecord, RuleSet

OUTCOME_TEXTS = frozenset({"fixed_examples", "broken_examples", "carried", "records", "rejected"})
"""Fields of a cycle's outcome with texts of requests and replies, and with rules that may quote them: changed examples,
the items of a carried test, the books of rules."""
_GIVEN_UP = "given up: the requests it stood on were deleted"


def redaction(rule_set: RuleSet, *, now: float, by: str, why: str) -> Activation:
    """Return the entry in a task's history about examples taken out of a version."""
    return Activation(task=rule_set.task, version=rule_set.version, created=now, by=by, why=why, kind="redaction")


def redacted_cycle(cycle: CycleRecord) -> CycleRecord | None:
    """Return a cycle without texts of requests and replies; ``None`` if it holds none. An open cycle is ended."""
    if cycle.ended is None or cycle.outcome is None:
        outcome = msgspec.json.encode({"task": cycle.task, "verdict": "cannot tell", "note": _GIVEN_UP})
        return msgspec.structs.replace(cycle, plan=b"{}", ended=cycle.started, outcome=outcome)
    try:
        outcome = msgspec.json.encode(_without_texts(msgspec.json.decode(cycle.outcome, type=dict[str, msgspec.Raw])))
    except msgspec.DecodeError:
        outcome = b"{}"
    redacted = msgspec.structs.replace(cycle, plan=b"{}", outcome=outcome)
    return None if redacted == cycle else redacted


def _without_texts(outcome: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    kept = {name: value for name, value in outcome.items() if name not in OUTCOME_TEXTS}
    note = msgspec.json.decode(kept["note"]) if "note" in kept else None
    if isinstance(note, str) and "(" in note:  # quotations stand in brackets
        kept["note"] = msgspec.Raw(msgspec.json.encode(note.partition("(")[0].rstrip()))
    return kept
