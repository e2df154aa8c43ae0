"""The grader ``json_schema``: right if the reply is JSON that fits a schema or, without a schema, the expected value.

The whole reply must be JSON, because the caller will parse the whole reply: a fence or a sentence around it is wrong.
Schemas are read by ``jsonschema-rs``. Unlike ``jsonschema`` it resolves every ``$ref`` when the schema is read, bounds
the backtracking of regular expressions, and ends on circular references.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from gateway.settings.graders import JsonSchemaGrader
from optimizer.grading.graders.base import ReplyGrader, Submission
from optimizer.grading.graders.canonical import NotJson, same, value_of
from optimizer.grading.graders.ungradable import GraderFailed, Ungradable


class JsonValue(ReplyGrader):
    """Validate the reply by the schema or, without a schema, compare it with the expected value."""

    def __init__(self, settings: JsonSchemaGrader) -> None:
        self._settings = settings

    def grade(self, submission: Submission, expected: Any) -> float:
        """Return 1.0 for JSON that fits. Raises ``GraderFailed`` for an unusable schema."""
        settings = self._settings
        wanted = _wanted(expected) if settings.schema is None else None
        try:
            given = value_of(submission.text)
        except NotJson:
            return 0.0
        if settings.schema is not None:
            try:
                return float(_validator(settings).is_valid(given))
            except ValueError as error:
                raise GraderFailed(f"the schema cannot be used: {_line(error)}") from error
        if settings.fields and isinstance(given, dict) and isinstance(wanted, dict):
            given, wanted = _only(given, settings.fields), _only(wanted, settings.fields)
        return float(same(given, wanted, ignore=settings.ignore))

    def label(self, submission: Submission) -> str:
        """Return the reply itself. Raises ``GraderFailed`` for an unusable schema."""
        try:
            value_of(submission.text)
        except NotJson as error:
            raise Ungradable(submission.text, "JSON") from error
        if not self.grade(submission, submission.text):
            raise Ungradable(submission.text, "JSON that fits the schema")
        return submission.text.strip()

    def mistakes(self) -> list[str]:
        if self._settings.schema is None:
            return []
        needless = [
            f"{key}: is for comparing with the expected value, which does not happen with a schema"
            for key in ("fields", "ignore")
            if getattr(self._settings, key)
        ]
        try:
            _validator(self._settings)
        except ValueError as error:
            needless.append(f"schema: cannot be used: {_line(error)}")
        return needless


def _wanted(expected: Any) -> Any:
    """Return the expected value; a text is read as JSON."""
    if isinstance(expected, str):
        try:
            return value_of(expected)
        except NotJson as error:
            raise Ungradable(expected, "JSON") from error
    if expected is None:
        raise Ungradable(expected, "a JSON value (write the text 'null' to expect null)")
    return expected


def _only(value: dict[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if key in fields}


def _validator(grader: JsonSchemaGrader) -> Any:
    """Return the compiled schema. Raises ``ValueError`` for anything else than a schema."""
    if isinstance(grader.schema, str):
        return _compiled(_file(grader.schema))
    return _compiled(msgspec.json.encode(grader.schema))


@lru_cache(maxsize=64)
def _file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error


@lru_cache(maxsize=64)
def _compiled(schema: bytes) -> Any:
    import jsonschema_rs

    try:
        return jsonschema_rs.validator_for(msgspec.json.decode(schema), retriever=_refuse)
    except (msgspec.DecodeError, jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
        raise ValueError(str(error)) from error


def _refuse(address: str) -> NoReturn:
    raise ValueError("nothing is fetched; put the schema into $defs")


def _line(error: ValueError) -> str:
    return str(error).partition("\n")[0]
