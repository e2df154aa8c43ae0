"""Rejections: the candidates, rules and worksheets left aside by a cycle, with the reason. Rejects nothing itself."""

from gateway.domain import Value


class Rejected(Value, frozen=True):
    """A candidate, a rule or a worksheet not taken, and the reason."""

    what: str
    why: str
