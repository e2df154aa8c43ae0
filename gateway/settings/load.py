"""Reads the configuration: TOML, ``${VAR}`` from the environment, and names that must point somewhere.

The only code that reads the environment. Every mistake is reported at once in one ``ConfigurationError``.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from gateway.errors import ConfigurationError
from gateway.settings.document import Mistakes, check, convert, expanded, meant, texts
from gateway.settings.keys import note_mistakes as note_mistakes_of_keys
from gateway.settings.sections import Settings

DEFAULT_FILE = "preceptor.toml"
_SHORTEST_KEY = 16


def config_path(given: Path | None, environment: Mapping[str, str] = os.environ) -> Path:
    """The configuration file: ``-c``, else ``PRECEPTOR_CONFIG``, else ``preceptor.toml``."""
    return given or Path(environment.get("PRECEPTOR_CONFIG") or DEFAULT_FILE)


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read and validate a configuration file.

    Raises ``ConfigurationError`` with every mistake in it, each with its key or line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(str(path), ["no such file: write one with 'preceptor init'"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(path), [f"cannot be read: {error}"]) from error
    return parse(text, source=str(path), environment=environment)


def parse(text: str, *, source: str, environment: Mapping[str, str]) -> Settings:
    """Validate the text of a configuration; raises ``ConfigurationError`` with every mistake in it."""
    mistakes = Mistakes()
    try:
        found = expanded(tomllib.loads(text), environment, mistakes)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(source, [f"not TOML: {error}"]) from error
    if "injection" in found:
        mistakes.note("injection", "is switched by the environment variable PRECEPTOR_INJECTION, not here")
    if "activate" in found.get("optimizer", {}):
        mistakes.note("optimizer.activate", "is now tasks.NAME.rollout.policy: canary, at_once or manual")
        del found["optimizer"]["activate"]
    check(found, Settings, mistakes)
    _cross_check(found, mistakes)
    if mistakes:
        raise ConfigurationError(source, mistakes.lines())
    _check_steps(found, mistakes)
    if mistakes:
        raise ConfigurationError(source, mistakes.lines())
    settings: Settings = convert(_completed(found), Settings)
    return msgspec.structs.replace(settings, injection=environment.get("PRECEPTOR_INJECTION", "on").lower() != "off")


def _completed(found: dict[str, Any]) -> dict[str, Any]:
    """A document without mistakes, with the defaults that depend on other settings: a judge is the strong model."""
    for task in found.get("tasks", {}).values():
        if task.get("grader", {}).get("kind") == "judge":
            task["grader"].setdefault("model", task["strong"])
    return found


def _cross_check(found: Mapping[str, Any], mistakes: Mistakes) -> None:
    """Names that point nowhere and values that do not fit together, whatever else is wrong in the document."""
    note_mistakes_of_keys(found.get("keys"), mistakes)
    passing = "default_upstream" in found.get("server", {})
    for path, value in texts(found):
        key = ".".join(path)
        match path:
            case ("server", "default_upstream") | ("models", _, "upstream"):
                _check_reference(key, value, "upstreams", found, mistakes)
            case ("tasks", _, "weak" | "strong") | ("tasks", _, "fallback", _) | ("tasks", _, "grader", "model"):
                _check_reference(key, value, "models", found, mistakes)
            case ("upstreams", _, "base_url") if not re.match(r"https?://[^/\s]+", value):
                mistakes.note(key, "must start with http:// or https:// and name a host")
            case ("tasks", _, "match", "system_prompt") | ("tasks", _, "grader", "pattern"):
                try:
                    re.compile(value)
                except (re.error, OverflowError, RecursionError) as error:
                    mistakes.note(key, f"not a regular expression: {error}")
            case ("keys", _, "tasks", _):
                _check_reference(key, value, "tasks", found, mistakes)
            case ("keys", _, "models", _) if not passing:
                _check_reference(key, value, "models", found, mistakes)
            case ("server", "admin_key") | ("keys", _, "key") if len(value) < _SHORTEST_KEY:
                mistakes.note(key, f"must have at least {_SHORTEST_KEY} characters: guessing must be hopeless")
            case ("upstreams", name, "kind") if value == "openai" and "base_url" not in found["upstreams"][name]:
                mistakes.note(f"upstreams.{name}.base_url", "is missing")


def _check_steps(found: Mapping[str, Any], mistakes: Mistakes) -> None:
    for name, task in found.get("tasks", {}).items():
        steps = task.get("rollout", {}).get("steps", ())
        if list(steps) != sorted(set(steps)):
            mistakes.note(f"tasks.{name}.rollout.steps", "each share must be larger than the last")


def _check_reference(key: str, name: str, section: str, found: Mapping[str, Any], mistakes: Mistakes) -> None:
    # A section that is itself mistaken is there all the same, so a reference to it is not one more mistake.
    declared = found.get(section)
    if not isinstance(declared, dict) or name not in declared:
        known = declared if isinstance(declared, dict) else ()
        mistakes.note(key, f"there is no [{section}.{name}]{meant(name, known)}")


def example_file() -> str:
    """A commented configuration to begin with."""
    return resources.files("gateway.settings").joinpath("example.toml").read_text(encoding="utf-8")


def models_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """Where pulled models lie: ``PRECEPTOR_MODELS``, else ``preceptor/models`` in the user's cache folder."""
    given = environment.get("PRECEPTOR_MODELS")
    cache = environment.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(given or f"{cache}/preceptor/models").expanduser()
