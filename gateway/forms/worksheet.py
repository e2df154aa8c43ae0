"""The part ``worksheet``: the model fills in a form, the gateway decides, and the model words the decision.

First a hidden pass with a JSON schema; the schema also stands in the instructions, for models that take none. There it
comes before the message: a model of 0.5B filled in 20 of 24 forms without a mistake (12 with the schema behind the
message), and a prompt cache reads it once. Then the decision list runs on the fields. Then the inner form answers the
caller's own prompt with a line such as "By the house rules the right answer is: packaging" behind the question; or the
gateway replies with the decision, where the request has room for a label and nothing else. If the form cannot be filled
in, the caller's request is sent as it came.
"""

import msgspec

from gateway.formats.envelope import Conversation, Obstacle
from gateway.forms.base import Form, Pass, first_of
from gateway.forms.cel import parse_condition
from gateway.forms.guidance import Guidance
from gateway.forms.worksheet_fields import check_schema, read_fields
from gateway.teaching import DECIDED, Worksheet

WORKSHEET_TOKENS = 512
"""Output tokens that a filled-in form may have."""
LONGEST_TEXT = 100_000
"""Characters of the question that conditions see."""
_OBSTACLES: frozenset[Obstacle] = frozenset({"no_question", "conversation", "background"})


class WorksheetForm:
    """Implements ``Form`` around another form. Raises ``BadRequest`` for a worksheet that cannot serve."""

    works = True

    def __init__(self, inner: Form, worksheet: Worksheet) -> None:
        check_schema(worksheet.schema)
        self._inner = inner
        self._worksheet = worksheet
        self._decisions = [(parse_condition(rule.when), rule.result) for rule in worksheet.decisions]
        schema = msgspec.json.encode(worksheet.schema).decode()
        self._schema = (
            f"When you are asked to fill in the form, answer with a JSON object of this schema alone: {schema}"
        )
        self._question = f"\n\n{worksheet.instructions}"
        self.name = f"worksheet+{inner.name}"
        replies = ", which are the reply" if worksheet.decide == "answer" else ""
        self.description = f"a worksheet with {len(self._decisions)} decisions{replies}; {inner.description}"
        self.most_passes = 1 + inner.most_passes

    def prepare(self) -> None:
        self._inner.prepare()

    def obstacle(self, request: Conversation) -> Obstacle | None:
        return first_of(request.obstacles(), _OBSTACLES) or self._inner.obstacle(request)

    def for_request(self, request: Conversation) -> Form:
        inner = self._inner.for_request(request)
        return self if inner is self._inner else WorksheetForm(inner, self._worksheet)

    def first_pass(self, request: Conversation, guidance: Guidance) -> Pass:
        structured = request.structured("worksheet", self._worksheet.schema)
        asked = request.with_question(self._question)
        return Pass(
            changes={
                **asked.content(),
                **asked.with_system(self._schema),
                **request.hidden(WORKSHEET_TOKENS),
                **structured,
            },
            shown=False,
            then=lambda answer: self._reply_pass(request, guidance, answer),
            optional=tuple(structured),
            without_answer=_as_it_came,
        )

    def _reply_pass(self, request: Conversation, guidance: Guidance, answer: str) -> Pass:
        fields = read_fields(answer, self._worksheet.schema)
        if fields is None:
            return _as_it_came()
        facts = {**fields, "text": (request.question() or "")[:LONGEST_TEXT]}
        result = next((result for condition, result in self._decisions if condition.holds(facts)), None)
        if result is not None and self._worksheet.decide == "answer":
            reply = request.label_reply(result)
            if reply is not None:
                return Pass(changes={}, reply=reply)
        if result is not None:
            request = request.with_question("\n\n" + self._worksheet.reply_line.replace(DECIDED, result))
        return self._inner.first_pass(request, msgspec.structs.replace(guidance, facts=facts))


def _as_it_came() -> Pass:
    return Pass(changes={}, why="worksheet")
