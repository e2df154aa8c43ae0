"""The error tree: its drawing is true, and every error has OpenAI's shape."""

import json
import re
from collections.abc import Iterator

import pytest

from gateway import errors
from gateway.errors import (
    ConfigurationError,
    ModelNotFound,
    PreceptorError,
    UpstreamGarbage,
    UpstreamRefused,
)


def subclasses(kind: type[PreceptorError]) -> Iterator[type[PreceptorError]]:
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from subclasses(child)


CLASSES: list[type[PreceptorError]] = [PreceptorError, *subclasses(PreceptorError)]
EVERY_CLASS = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)


def drawn() -> dict[str, tuple[str | None, str]]:
    """The tree in the module's docstring: each class with its parent and what is written beside it."""
    found: dict[str, tuple[str | None, str]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.fullmatch(r"    ((?:[│ ]   )*(?:[├└]── )?)(\w+)\s*(.*)", line)
        if match is None:
            continue
        depth = len(match[1]) // 4
        found[match[2]] = (above[depth - 1] if depth else None, match[3])
        above[depth:] = [match[2]]
    return found


def made(kind: type[PreceptorError]) -> PreceptorError:
    if issubclass(kind, ConfigurationError):
        return kind("preceptor.toml", ["server.port: is missing"])
    if issubclass(kind, UpstreamRefused):
        return kind(429, errors.error_body("slow down", "requests"), {})
    if issubclass(kind, ModelNotFound):
        return kind("gpt-9")
    return kind("it failed")


def test_the_drawing_names_every_class_under_its_parent() -> None:
    """The tree in the docstring is the tree in the code."""
    tree = {kind.__name__: kind.__bases__[0].__name__ for kind in CLASSES[1:]}
    assert {name: parent for name, (parent, _) in drawn().items()} == {"PreceptorError": None, **tree}


@EVERY_CLASS
def test_the_drawing_states_status_type_and_code(kind: type[PreceptorError]) -> None:
    """A status, a type or a code that stands in the drawing is the one that is sent."""
    _, note = drawn()[kind.__name__]
    if (status := re.match(r"\d{3}", note)) is not None:
        assert kind.status == int(status[0])
    if (type_ := re.search(r"\b(\w+_error)\b", note)) is not None:
        assert type_[1] in (kind.type, kind.code)
    if (code := re.search(r"code (\w+)", note)) is not None:
        assert kind.code == code[1]


@EVERY_CLASS
def test_every_error_has_the_four_keys(kind: type[PreceptorError]) -> None:
    """A client's SDK finds message, type, param and code in every error."""
    body = json.loads(made(kind).body())
    assert list(body) == ["error"]
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert isinstance(body["error"]["message"], str) and isinstance(body["error"]["type"], str)


@EVERY_CLASS
def test_every_error_is_one_line_and_explained(kind: type[PreceptorError]) -> None:
    """A shell prints the message as it is; the class says when it is raised."""
    assert "\n" not in str(made(kind))
    assert kind.__doc__


def test_a_configuration_error_keeps_every_mistake() -> None:
    """Each mistake can be shown on a line of its own, and the message names them all."""
    error = ConfigurationError("a.toml", ["server.port: is missing", "tasks: must be a table"])
    assert error.mistakes == ("server.port: is missing", "tasks: must be a table")
    assert str(error) == "a.toml: server.port: is missing; a.toml: tasks: must be a table"


def test_param_and_code_can_be_given() -> None:
    """The place and the kind of a failure are the raiser's to say; the class keeps its own code."""
    error = UpstreamGarbage("no", param="model", code="odd")
    assert json.loads(error.body())["error"] == {
        "message": "no", "type": "upstream_error", "param": "model", "code": "odd"
    }  # fmt: skip
    assert UpstreamGarbage("no").code == "upstream_garbage"


def test_a_refusal_hands_on_what_the_upstream_said() -> None:
    """The upstream's status, body and headers are kept as they are."""
    error = UpstreamRefused(418, b'{"error":{}}', {"retry-after": "3"})
    assert (error.status, error.body(), error.headers) == (418, b'{"error":{}}', {"retry-after": "3"})


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b'{"error":{"message":"the context is full"}}', "the context is full"),
        (b"<html>", "the upstream answered with status 418"),
        (b'{"error":"odd"}', "the upstream answered with status 418"),
    ],
)
def test_the_words_of_a_refusal_are_the_upstreams(payload: bytes, words: str) -> None:
    """For APIs with a shape of their own; without any, the gateway's."""
    assert UpstreamRefused(418, payload, {}).words() == words
    assert UpstreamGarbage("no").words() == "no"


def test_a_missing_model_is_named_with_the_way_out() -> None:
    """The message says which name was asked for and what would work."""
    error = ModelNotFound("gpt-9")
    assert "'gpt-9'" in str(error) and "default_upstream" in str(error)
    assert (error.status, error.param, error.code) == (404, "model", "model_not_found")
