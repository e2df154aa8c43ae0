"""Right if the reply is JSON that fits a schema or, without one, equals the expected value.

All of the reply must be JSON, because that is what the caller will parse: a fence or a sentence around it is wrong.
Schemas are read by ``jsonschema-rs``: unlike ``jsonschema`` it resolves every ``$ref`` when the schema is read, bounds
the backtracking of regular expressions, and its references cannot run in circles for ever.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from gateway.settings.graders import JsonSchemaGrader
from optimizer.grading.graders.canonical import NotJson, same, value_of
from optimizer.grading.graders.ungradable import GraderFailed, Ungradable


def grade(grader: JsonSchemaGrader, reply: str, expected: Any) -> bool:
    """Whether the reply fits the schema, or equals the expected value where there is no schema.

    Raises ``GraderFailed`` if the schema cannot be used.
    """
    wanted = _wanted(expected) if grader.schema is None else None
    try:
        given = value_of(reply)
    except NotJson:
        return False
    if grader.schema is not None:
        try:
            return bool(_validator(grader).is_valid(given))
        except ValueError as error:
            raise GraderFailed(f"the schema cannot be used: {_line(error)}") from error
    if grader.fields and isinstance(given, dict) and isinstance(wanted, dict):
        given, wanted = _only(given, grader.fields), _only(wanted, grader.fields)
    return same(given, wanted, ignore=grader.ignore)


def label(grader: JsonSchemaGrader, reply: str) -> str:
    """The reply itself. Raises ``GraderFailed`` if the schema cannot be used."""
    try:
        value_of(reply)
    except NotJson as error:
        raise Ungradable(reply, "JSON") from error
    if not grade(grader, reply, reply):
        raise Ungradable(reply, "JSON that fits the schema")
    return reply.strip()


def mistakes(grader: JsonSchemaGrader) -> list[str]:
    """What is wrong with the section, each with its key."""
    if grader.schema is None:
        return []
    found = [
        f"{key}: is for comparing with the expected value, which does not happen with a schema"
        for key in ("fields", "ignore")
        if getattr(grader, key)
    ]
    try:
        _validator(grader)
    except ValueError as error:
        found.append(f"schema: cannot be used: {_line(error)}")
    return found


def _wanted(expected: Any) -> Any:
    """The expected value; a text is read as JSON."""
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
    """The compiled schema. Raises ``ValueError`` if it is none."""
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
