"""The grader ``json_schema``: right if the reply is JSON that fits a schema or, without a schema, the expected value.

The whole reply must be JSON, because the caller will parse the whole reply: a fence or a sentence around it is wrong.
Schemas are read by ``jsonschema-rs``. Unlike ``jsonschema`` it resolves every ``$ref`` when the schema is read, bounds
the backtracking of regular expressions, and ends on circular references.
"""

from collections.abc import Collection
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from gateway.settings.graders import JsonSchemaGrader
from optimizer.grading.graders.base import Grade, ReplyGrader, Submission
from optimizer.grading.graders.canonical import NotJson, same, value_of
from optimizer.grading.graders.ungradable import GraderFailed, Ungradable

ERRORS = 3
"""Errors of a schema, or keys of a kind of difference, in a remark."""
LONGEST_ERROR = 150
"""Characters of an error in a remark; it may quote the reply."""


class JsonValue(ReplyGrader):
    """Validate the reply by the schema or, without a schema, compare it with the expected value."""

    def __init__(self, settings: JsonSchemaGrader) -> None:
        self._settings = settings

    def grade(self, submission: Submission, expected: Any) -> float:
        """Return 1.0 for JSON that fits. Raises ``GraderFailed`` for an unusable schema."""
        return self.assess(submission, expected).score

    def assess(self, submission: Submission, expected: Any) -> Grade:
        """Grade, with the errors of the schema or the keys that differ. Raises the errors of ``grade``."""
        settings = self._settings
        wanted = _wanted(expected) if settings.schema is None else None
        try:
            given = value_of(submission.text)
        except NotJson as error:
            return Grade(score=0.0, remark=f"the whole reply is not JSON ({error})")
        if settings.schema is not None:
            try:
                errors = list(islice(_validator(settings).iter_errors(given), ERRORS))
                return Grade(score=float(not errors), remark="; ".join(map(_shown, errors)))
            except ValueError as error:
                raise GraderFailed(f"the schema cannot be used: {_line(error)}") from error
        if settings.fields and isinstance(given, dict) and isinstance(wanted, dict):
            given, wanted = _only(given, settings.fields), _only(wanted, settings.fields)
        if same(given, wanted, ignore=settings.ignore):
            return Grade(score=1.0)
        return Grade(score=0.0, remark=_difference(given, wanted, settings.ignore))

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


def _difference(given: Any, wanted: Any, ignore: Collection[str]) -> str:
    """Name the keys in which two objects differ."""
    if not isinstance(given, dict) or not isinstance(wanted, dict):
        return ""
    keys = [key for key in (*wanted, *given) if key not in ignore]
    kinds = {
        "missing": [key for key in keys if key not in given],
        "not expected": [key for key in keys if key not in wanted],
        "of another value": [
            key for key in wanted if key in given and key in keys and not same(given[key], wanted[key], ignore=ignore)
        ],
    }
    return "; ".join(f"{kind}: {', '.join(names[:ERRORS])}" for kind, names in kinds.items() if names)


def _shown(error: Any) -> str:
    """An error of a schema with its place."""
    place = "/".join(map(str, error.instance_path))
    return f"{place or 'the reply'}: {str(error.message)[:LONGEST_ERROR]}"


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
