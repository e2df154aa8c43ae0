"""Data files of other tools: JSON lines, a JSON array, YAML or CSV, with the keys of evaluation and tuning tools.

Reads OpenAI's evals (``input``, ``ideal``) and chat fine-tuning (``messages`` with the answer last), promptfoo
(``vars``, ``assert``), Langfuse (``input``, ``expectedOutput``), MLflow (``inputs``, ``expectations``) and DSPy
(``question``, ``answer``). Pure: no file is opened here.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import yaml

from optimizer.dataset.items import BadData, parse_object

LONGEST_FIELD = 10_000_000
"""Characters of a field in a CSV file."""
_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
"""A blank of a promptfoo prompt."""
_LISTS = ("tests", "data", "items", "examples", "results")
"""Keys under which an exported object holds its examples."""
_QUESTIONS = ("question", "query", "prompt", "instruction", "text", "user_input", "request")
_ANSWERS = (
    "expected", "ideal", "expectedOutput", "expected_output", "expected_response", "reference", "answer", "completion",
    "output", "label", "target", "targets", "ground_truth", "__expected",
)  # fmt: skip
"""Keys of the right answer, in order of precedence."""


def records_in(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the examples of a file as JSON objects, each after its place. Raises ``BadData`` for an unreadable file.

    Lines of JSON come as they are; a broken line is for the reader of the line to refuse.
    """
    text = _decoded(data)
    start = text.lstrip()[:1]
    if start == "[" or (start == "{" and _is_one_object(text)):
        yield from _listed(text)
    elif start == "{":
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                yield f"line {number}", line.encode("utf-8", "surrogatepass")
    elif _is_table(text):
        yield from _rows(text)
    elif (document := _yaml(text)) is not None:
        yield from _listed(document)
    else:
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                yield f"line {number}", line.encode("utf-8", "surrogatepass")


def example_in(record: bytes, source: str | None = None) -> dict[str, Any]:
    """Return an example in our own keys: ``messages``, ``expected`` and the keys of a question.

    ``source`` names a format of ``SOURCES``; without it each is tried. Raises ``BadData`` for a record without a
    question, and for an unknown format.
    """
    body = parse_object(record)
    if source is not None and source not in SOURCES:
        raise BadData(f"{source!r} is no known format: {', '.join(SOURCES)}")
    for read in SOURCES[source] if source is not None else _FORMATS:
        example = read(body)
        if example is not None:
            return {**body, **example}
    raise BadData("'input' (a text) or 'messages' is missing")


def _decoded(data: bytes) -> str:
    """Return a file's text, with or without a byte order mark."""
    try:
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            return data.decode("utf-16")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadData(f"not a text in UTF-8: {error.reason} at byte {error.start}") from None


def _is_one_object(text: str) -> bool:
    """Decide whether a text is a single object over several lines, such as an export."""
    lines = text.strip().splitlines()
    if len(lines) == 1:
        return any(f'"{name}"' in lines[0][:200] for name in _LISTS) and _listing(lines[0]) is not None
    return _json(lines[0]) is None and _json(text) is not None


def _yaml(text: str) -> str | None:
    """Return a YAML document with a list of examples, such as a configuration of promptfoo, as JSON."""
    if not re.search(rf"^(?:{'|'.join(_LISTS)})\s*:|^-\s", text, re.MULTILINE):
        return None
    try:
        value = yaml.safe_load(text)
        return msgspec.json.encode(value).decode() if isinstance(value, dict | list) else None
    except (yaml.YAMLError, TypeError, ValueError, RecursionError):
        return None


def _listed(text: str) -> Iterator[tuple[str, bytes]]:
    items = _listing(text)
    if items is None:
        raise BadData("neither JSON lines nor a JSON array of examples")
    for number, item in enumerate(items, start=1):
        yield f"item {number}", msgspec.json.encode(item)


def _listing(text: str) -> list[Any] | None:
    """Return the examples of an array, or of an object with one under a known key; an object alone is one example."""
    value = _json(text)
    for _ in range(3):
        if isinstance(value, dict):
            inner = next((value[name] for name in _LISTS if isinstance(value.get(name), list | dict)), None)
            if inner is None:
                return [value]
            value = _with_prompts(inner, value.get("prompts"))
    return value if isinstance(value, list) else None


def _with_prompts(tests: Any, prompts: Any) -> Any:
    """Return promptfoo's tests with the prompt that they are asked with, if it is a single text."""
    if not isinstance(tests, list) or not isinstance(prompts, list) or len(prompts) != 1:
        return tests
    if not isinstance(prompts[0], str) or not _VARIABLE.search(prompts[0]):
        return tests
    return [{**test, "prompts": prompts} if isinstance(test, dict) else test for test in tests]


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _is_table(text: str) -> bool:
    header = text.lstrip().partition("\n")[0]
    names = {name.strip().strip('"') for name in header.replace(";", ",").replace("\t", ",").split(",")}
    return len(names) > 1 and bool(names & {*_ANSWERS, "expected"})


def _rows(text: str) -> Iterator[tuple[str, bytes]]:
    """Yield the rows of a table with a header, separated by commas, semicolons or tabs."""
    header = text.lstrip().partition("\n")[0]
    separator = max(",;\t", key=header.count)
    csv.field_size_limit(LONGEST_FIELD)
    rows = csv.DictReader(io.StringIO(text.lstrip(), newline=""), delimiter=separator)
    try:
        for row in rows:
            given = {name.strip(): value for name, value in row.items() if name and value is not None}
            for name in ("messages", "input", "expected"):  # cells may hold JSON
                value = _json(given[name]) if given.get(name, "").lstrip()[:1] in ("[", "{") else None
                if value is not None:
                    given[name] = value
            yield f"line {rows.line_num}", msgspec.json.encode(given)
    except csv.Error as error:
        raise BadData(f"line {rows.line_num} of the table cannot be read: {error}") from None


def _plain(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Read ``input`` (a text, messages, or an object with either) or ``messages``, with any name of the answer."""
    asked = _messages(body.get("input")) or _messages(body.get("messages"))
    if asked is None:
        return None
    answer = _answer(body)
    if answer is None and "input" not in body and asked[-1].get("role") == "assistant" and len(asked) > 1:
        return {"messages": asked[:-1], "expected": _reply(asked[-1])}  # chat fine-tuning
    return {"messages": asked} | ({} if answer is None else {"expected": answer})


def _mlflow(body: Mapping[str, Any]) -> dict[str, Any] | None:
    asked = _messages(body.get("inputs"))
    if asked is None:
        return None
    expectations = body.get("expectations")
    answer = _answer(expectations) if isinstance(expectations, dict) else _answer(body)
    return {"messages": asked} | ({} if answer is None else {"expected": answer})


def _promptfoo(body: Mapping[str, Any]) -> dict[str, Any] | None:
    given, prompts = body.get("vars"), body.get("prompts")
    if isinstance(given, dict) and isinstance(prompts, list) and len(prompts) == 1 and isinstance(prompts[0], str):
        asked = _messages(_VARIABLE.sub(lambda match: str(given.get(match[1], match[0])), prompts[0]))
    else:
        asked = _messages(given)
    if asked is None:
        return None
    checks = body.get("assert")
    equal = [
        check.get("value")
        for check in (checks if isinstance(checks, list) else [])
        if isinstance(check, dict) and check.get("type") in ("equals", "iequals", "is-json-equal")
    ]
    answer = equal[0] if equal else _answer(body)
    return {"messages": asked} | ({} if answer is None else {"expected": answer})


def _pair(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Read a question and an answer under the names of DSPy and of many data sets."""
    asked = _messages({name: value for name, value in body.items() if name not in _ANSWERS})
    answer = _answer(body)
    return {"messages": asked, "expected": answer} if asked is not None and answer is not None else None


Reader = Callable[[Mapping[str, Any]], dict[str, Any] | None]

_FORMATS: tuple[Reader, ...] = (_plain, _mlflow, _promptfoo, _pair)
SOURCES: Mapping[str, tuple[Reader, ...]] = {
    "openai-evals": (_plain,),
    "openai-chat": (_plain,),
    "promptfoo": (_promptfoo, _pair),
    "langfuse": (_plain,),
    "mlflow": (_mlflow,),
    "dspy": (_pair,),
    "csv": _FORMATS,
}
"""The readers of each tool's examples; promptfoo's tables name the answer ``__expected``."""


def _messages(value: Any) -> list[dict[str, Any]] | None:
    """Return a question as messages: a text, a list of messages, or an object that holds either."""
    if isinstance(value, str) and value:
        return [{"role": "user", "content": value}]
    if isinstance(value, list):
        return value if value and all(isinstance(message, dict) for message in value) else None
    if not isinstance(value, dict):
        return None
    for name in ("messages", *_QUESTIONS):
        if name in value and (asked := _messages(value[name])) is not None:
            return asked
    texts = [text for text in value.values() if isinstance(text, str)]
    return _messages(texts[0]) if len(texts) == len(value) == 1 else None


def _answer(body: Mapping[str, Any]) -> Any:
    name = next((name for name in _ANSWERS if name in body), None)
    return body[name] if name is not None else None


def _reply(message: Mapping[str, Any]) -> Any:
    """Return the answer in a last message: its text, or its calls in the form of an expected value."""
    calls = message.get("tool_calls")
    return calls if isinstance(calls, list) and calls else message.get("content")
