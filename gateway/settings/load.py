"""Reads the configuration: TOML, ``${VAR}`` from the environment, and names that must point somewhere.

The only code that reads the environment. A ``ConfigurationError`` holds every mistake at once.
"""

import logging
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import msgspec

from gateway.errors import ConfigurationError
from gateway.linear_match import LinearMatch
from gateway.linear_regex import LinearRegex
from gateway.settings.base import fields_of
from gateway.settings.deployments import note_deployments
from gateway.settings.document import Mistakes, check, convert, expanded, suggestion, texts
from gateway.settings.keys import note_mistakes as note_mistakes_of_keys
from gateway.settings.proxies import NONE, proxy_for
from gateway.settings.secret_files import with_secrets
from gateway.settings.sections import Settings
from gateway.settings.upstreams import RemoteSettings, UpstreamSettings

log = logging.getLogger(__name__)

DEFAULT_FILE = "preceptor.toml"
_SHORTEST_KEY = 16
_KINDS = {kind.kind: fields_of(kind) for kind in get_args(UpstreamSettings)}
"""The settings of each kind of upstream."""
_INHERITED = frozenset({"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "SHELL", "VIRTUAL_ENV"})
_INHERITED_PREFIXES = (
    "LC_", "PYTHON", "LD_", "XDG_", "GRADER_",
    "CUDA_", "NVIDIA_", "HIP_", "ROCR_", "GGML_", "VK_", "OMP_", "GOMP_", "OPENBLAS_",
)  # fmt: skip
"""The second line is for embedded models: their devices and threads."""


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
    if not text.strip():
        raise ConfigurationError(str(path), ["is empty: write one with 'preceptor init'"])
    return parse(text, source=str(path), environment=environment)


def parse(text: str, *, source: str, environment: Mapping[str, str]) -> Settings:
    """Validate the text of a configuration; raises ``ConfigurationError`` with every mistake in it."""
    mistakes = Mistakes()
    files: list[Path] = []
    try:
        document = with_secrets(expanded(tomllib.loads(text), environment, mistakes), mistakes, files)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(source, [f"not TOML: {error}"]) from error
    if "injection" in document:
        mistakes.note("injection", "is switched by the environment variable PRECEPTOR_INJECTION, not here")
    if "secret_files" in document:
        mistakes.note("secret_files", "is no setting: name a file where the secret belongs, as file:PATH")
    if "activate" in document.get("optimizer", {}):
        mistakes.note("optimizer.activate", "is now tasks.NAME.rollout.policy: canary, at_once or manual")
        del document["optimizer"]["activate"]
    _drop_idle_settings(document, mistakes)
    check(document, Settings, mistakes)
    _cross_check(document, mistakes)
    if mistakes:
        raise ConfigurationError(source, mistakes.lines())
    _check_steps(document, mistakes)
    _check_teachers(document, mistakes)
    if mistakes:
        raise ConfigurationError(source, mistakes.lines())
    settings: Settings = convert(_completed(document), Settings)
    settings = msgspec.structs.replace(settings, upstreams=_with_proxies(settings.upstreams, environment))
    injection = environment.get("PRECEPTOR_INJECTION", "on").lower() != "off"
    return msgspec.structs.replace(settings, injection=injection, secret_files=tuple(files))


def _with_proxies(
    upstreams: Mapping[str, UpstreamSettings], environment: Mapping[str, str]
) -> dict[str, UpstreamSettings]:
    """Return the sections with the proxy in effect; ``None``: a straight way."""
    return {
        name: msgspec.structs.replace(section, proxy=_proxy_of(section, environment))
        if isinstance(section, RemoteSettings)
        else section
        for name, section in upstreams.items()
    }


def _proxy_of(section: RemoteSettings, environment: Mapping[str, str]) -> str | None:
    if section.proxy is not None:
        return None if section.proxy == NONE else section.proxy
    return proxy_for(section.address, environment)


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    """A document without mistakes, with the defaults that depend on other settings: a judge is the strong model."""
    for model in document.get("models", {}).values():
        model.setdefault("upstream", next(iter(model.get("upstreams", ())), ""))
    folder = document.get("optimizer", {}).get("prompts_dir")
    for task in document.get("tasks", {}).values():
        if task.get("grader", {}).get("kind") == "judge":
            task["grader"].setdefault("model", task["strong"])
            task["grader"].setdefault("prompts_dir", folder)
    return document


def _drop_idle_settings(document: dict[str, Any], mistakes: Mistakes) -> None:
    """Take settings of another kind out of the upstreams, such as ``threads`` of a remote server.

    Old configurations may hold them: they are checked, and have no effect.
    """
    sections = document.get("upstreams")
    for name, section in sections.items() if isinstance(sections, dict) else ():
        kind = section.get("kind") if isinstance(section, dict) else None
        if not isinstance(kind, str) or kind not in _KINDS:
            continue
        for setting in [setting for setting in section if setting not in _KINDS[kind]]:
            field = next((fields[setting] for fields in _KINDS.values() if setting in fields), None)
            if field is not None:
                key = f"upstreams.{name}.{setting}"
                check(section.pop(setting), field.type, mistakes, key)
                log.warning("%s has no effect with kind %s", key, kind, extra={"action": "settings.idle"})


def _cross_check(document: Mapping[str, Any], mistakes: Mistakes) -> None:
    """Note names that point nowhere and values that do not fit together, also in a document with other mistakes."""
    note_mistakes_of_keys(document.get("keys"), mistakes)
    note_deployments(document, mistakes)
    passing = "default_upstream" in document.get("server", {})
    for path, value in texts(document):
        key = ".".join(path)
        match path:
            case ("server", "default_upstream") | ("models", _, "upstream") | ("models", _, "upstreams", _):
                _check_reference(key, value, "upstreams", document, mistakes)
            case ("tasks", _, "weak" | "strong") | ("tasks", _, "fallback", _) | ("tasks", _, "grader", "model"):
                _check_reference(key, value, "models", document, mistakes)
            case ("upstreams", _, "base_url") if not _is_address(value):
                mistakes.note(key, "must start with http:// or https:// and name a host")
            case ("tasks", _, "match", "system_prompt"):
                try:
                    LinearRegex(value)
                except ValueError as error:
                    mistakes.note(key, str(error))
            case ("tasks", _, "grader", "pattern"):
                try:
                    LinearMatch(value)
                except ValueError as error:
                    group = (
                        ": put the wanted part into a group, such as 'answer: (\\d+)'" if "bound" in str(error) else ""
                    )
                    mistakes.note(key, f"{error}{group}")
            case ("keys", _, "tasks", _):
                _check_reference(key, value, "tasks", document, mistakes)
            case ("keys", _, "models", _) if not passing:
                _check_reference(key, value, "models", document, mistakes)
            case ("server", "admin_key") | ("keys", _, "key") if len(value) < _SHORTEST_KEY:
                mistakes.note(key, f"must have at least {_SHORTEST_KEY} characters: guessing must be hopeless")


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return re.match(r"https?://[^/\s]+", text) is not None and bool(parts.hostname) and parts.port != 0
    except ValueError:  # half a bracket, a port out of range
        return False


def _check_steps(document: Mapping[str, Any], mistakes: Mistakes) -> None:
    for name, task in document.get("tasks", {}).items():
        steps = task.get("rollout", {}).get("steps", ())
        if list(steps) != sorted(set(steps)):
            mistakes.note(f"tasks.{name}.rollout.steps", "each share must be larger than the last")


def _check_teachers(document: Mapping[str, Any], mistakes: Mistakes) -> None:
    """Note strong models on an upstream with ``may_teach = false``."""
    for name, task in document.get("tasks", {}).items():
        model = document["models"][task["strong"]]
        for upstream in model.get("upstreams") or [model["upstream"]]:
            if not document["upstreams"][upstream].get("may_teach", True):
                mistakes.note(
                    f"tasks.{name}.strong",
                    f"{task['strong']} must not teach (upstreams.{upstream}.may_teach): name a model of another"
                    " upstream",
                )


def _check_reference(key: str, name: str, section: str, document: Mapping[str, Any], mistakes: Mistakes) -> None:
    # A section that is itself mistaken is there all the same, so a reference to it is not another mistake.
    declared = document.get(section)
    if not isinstance(declared, dict) or name not in declared:
        known = declared if isinstance(declared, dict) else ()
        mistakes.note(key, f"there is no [{section}.{name}]{suggestion(name, known)}")


def set_variables(names: Iterable[str], environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return the environment variables among ``names`` that have a value."""
    return tuple(name for name in names if environment.get(name))


def ollama_address(environment: Mapping[str, str] = os.environ) -> str:
    """Return the root of the machine's Ollama: ``OLLAMA_HOST``, Ollama's own variable, else its default."""
    given = environment.get("OLLAMA_HOST") or "127.0.0.1:11434"
    address = given if "://" in given else f"http://{given}"
    return address if re.search(r":\d+/?$", address) else f"{address.rstrip('/')}:11434"


def models_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder of pulled models: ``PRECEPTOR_MODELS``, else ``preceptor/models`` in the user's cache folder."""
    given = environment.get("PRECEPTOR_MODELS")
    cache = environment.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(given or f"{cache}/preceptor/models").expanduser()


def child_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment for a child process: variables of the system and of devices, ``GRADER_*``, no key."""
    return {
        name: value for name, value in environment.items() if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }
