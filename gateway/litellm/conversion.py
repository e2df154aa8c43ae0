"""A LiteLLM proxy's configuration as the text of a ``preceptor.toml``, with a list of the settings left out.

Drops nothing in silence, and writes down no possible secret. Does not read or write files.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gateway.domain import Value
from gateway.errors import ConfigurationError
from gateway.litellm import toml
from gateway.litellm.advice import with_advice
from gateway.litellm.deployment import Deployment, Unusable, read_deployment
from gateway.litellm.providers import PROVIDERS, Provider, provider_of
from gateway.litellm.quotas import key_section
from gateway.litellm.variables import Variables, referred
from gateway.settings import Match, Model, Task, UpstreamSettings

_Entry = tuple[str, Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]
"""Name, parameters, information, and the rest."""

_MASTER_KEY = "LITELLM_MASTER_KEY"
_SHORTEST_KEY = 16
"""Characters of a client key at least."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*")
_ANY = "*"


class Imported(Value, frozen=True):
    """A converted configuration with remarks."""

    text: str
    variables: Mapping[str, str]
    """Environment variables of the configuration, each with a description of its value."""
    left_out: tuple[str, ...]
    """Settings left out, a line each."""


def imported(settings: Mapping[str, Any], source: str) -> Imported:
    """Convert settings read from ``source``.

    Raises ``ConfigurationError`` with every entry of the wrong shape.
    """
    conversion = _Conversion(settings, source)
    conversion.read_models()
    conversion.read_aliases()
    conversion.read_fallbacks()
    conversion.read_master_key()
    conversion.note_the_rest()
    return conversion.result()


class _Conversion:
    """Collects sections and remarks. A group is LiteLLM's word for a model name of clients."""

    def __init__(self, settings: Mapping[str, Any], source: str) -> None:
        self._source = source
        self._mistakes: list[str] = []
        self._left_out: list[str] = []
        self._settings = settings
        self._sections = {
            name: self._mapping(settings.get(name), name)
            for name in ("litellm_settings", "router_settings", "general_settings")
        }
        self._read: set[str] = {"model_list"}
        self._entries = self._checked_entries()
        self._variables = Variables(self._taken_variables())
        self._upstreams: dict[str, UpstreamSettings] = {}
        self._models: dict[str, Model] = {}
        self._groups: dict[str, list[str]] = {}
        self._weights: dict[str, list[float | None]] = {}
        """The weights of each model's deployments."""
        self._aliases: dict[str, str] = {}
        self._tasks: dict[str, Task] = {}
        self._keys: dict[str, Mapping[str, Any]] = {}
        """Client keys by name, as variables."""
        self._default_upstream: str | None = None

    def _mapping(self, value: object, place: str) -> Mapping[str, Any]:
        if isinstance(value, Mapping):
            return {str(key): item for key, item in value.items()}
        if value is not None:
            self._mistakes.append(f"{place}: must be a mapping")
        return {}

    def _checked_entries(self) -> dict[str, _Entry]:
        """Return every entry by its place. Raises ``ConfigurationError`` for entries of the wrong shape."""
        given = self._settings.get("model_list")
        if not isinstance(given, list) or not given:
            raise ConfigurationError(self._source, ["model_list: must be a list of at least one model"])
        entries: dict[str, _Entry] = {}
        for index, item in enumerate(given):
            place = f"model_list[{index}]"
            entry = self._mapping(item, place)
            params = self._mapping(entry.get("litellm_params"), f"{place}.litellm_params")
            info = self._mapping(entry.get("model_info"), f"{place}.model_info")
            name = entry.get("model_name")
            if not isinstance(name, str) or not name:
                self._mistakes.append(f"{place}.model_name: must be a name")
            if not isinstance(params.get("model"), str) or not params["model"]:
                self._mistakes.append(f"{place}.litellm_params.model: must be a name such as openai/gpt-4.1")
            rest = {key: entry[key] for key in entry if key not in ("model_name", "litellm_params", "model_info")}
            entries[place] = (str(name), params, info, rest)
        if self._mistakes:
            raise ConfigurationError(self._source, self._mistakes)
        return entries

    def _taken_variables(self) -> Iterable[str]:
        """Return variables with a meaning of their own; no secret of the file may get such a name."""
        for _, params, _, _ in self._entries.values():
            for values in (params, params.get("headers"), params.get("extra_headers")):
                if isinstance(values, Mapping):
                    yield from (name for value in values.values() if (name := referred(value)) is not None)
            provider = PROVIDERS.get(provider_of(params)[0], Provider())
            if provider.key is not None and not params.get("api_key"):
                yield provider.key
            if provider.base_variable is not None:
                yield provider.base_variable

    def _setting(self, *names: str) -> Any:
        """Return the first given setting of several, such as ``router_settings.timeout``."""
        self._read.update(names)
        for name in names:
            section, _, key = name.partition(".")
            value = self._sections[section].get(key)
            if value is not None:
                return value
        return None

    def read_models(self) -> None:
        """Convert every entry to a model on an upstream.

        Of entries with the same name, equal ones become deployments of a model, and the others fallbacks.
        """
        defaults = {
            "timeout": self._setting("router_settings.timeout", "litellm_settings.request_timeout"),
            "stream_timeout": self._setting("router_settings.stream_timeout"),
            "num_retries": self._setting("router_settings.num_retries", "litellm_settings.num_retries"),
        }
        reserved = {name for name, *_ in self._entries.values()}
        for place, (group, params, info, rest) in self._entries.items():
            try:
                deployment = read_deployment(params, info, place, defaults, self._variables)
                self._add(group, deployment, reserved)
            except Unusable as error:
                self._left_out.append(f"{place} ({group}): {error}")
                continue
            left_out = [*deployment.left_out, *rest]
            if left_out:
                self._left_out.append(f"{place} ({group}): {', '.join(left_out)}")

    def _add(self, group: str, deployment: Deployment, reserved: set[str]) -> None:
        if _ANY in group or _ANY in deployment.model:
            if group != _ANY or deployment.model != _ANY or self._default_upstream is not None:
                raise Unusable("only one entry whose name is * can take any model, under the provider's own names")
            self._default_upstream = self._upstream(deployment)
            return
        known = self._groups.setdefault(group, [])
        if self._joins_an_equal(deployment, known):
            return
        name = _free(_named(group), self._models, reserved - {group})
        self._models[name] = Model(upstream=self._upstream(deployment), model=deployment.model, price=deployment.price)
        known.append(name)
        self._weights[name] = [deployment.weight]

    def _joins_an_equal(self, deployment: Deployment, group: Iterable[str]) -> bool:
        """Make a deployment one of several of a model in its group: of the same name, price and kind of upstream."""
        for name in group:
            model = self._models[name]
            first = self._upstreams[model.every_upstream[0]]
            alike = (model.model, model.price, type(first)) == (
                deployment.model, deployment.price, type(deployment.upstream),
            )  # fmt: skip
            upstream = self._upstream(deployment) if alike else ""
            if alike and upstream not in model.every_upstream:
                weights = self._weights[name]
                weights.append(deployment.weight)
                shares = tuple(weight for weight in weights if weight is not None)
                self._models[name] = msgspec.structs.replace(
                    model, upstream="", upstreams=(*model.every_upstream, upstream),
                    weights=shares if len(shares) == len(weights) else (),
                )  # fmt: skip
                return True
        return False

    def _upstream(self, deployment: Deployment) -> str:
        """The upstream with these settings: the same address, key and bounds are one upstream."""
        for name, upstream in self._upstreams.items():
            # LiteLLM's limits are those of one deployment: nothing else may share them.
            if upstream == deployment.upstream and not upstream.limits.any:
                return name
        name = _free(_named(deployment.label), self._upstreams, ())
        self._upstreams[name] = deployment.upstream
        return name

    def read_aliases(self) -> None:
        """Convert aliases of groups to models on the same upstreams."""
        aliases = self._setting("router_settings.model_group_alias")
        for alias, target in self._mapping(aliases, "model_group_alias").items():
            name = str(target.get("model") if isinstance(target, Mapping) else target)
            models = self._groups.get(name)
            if models is None or alias in self._groups or not alias:
                self._left_out.append(f"model_group_alias.{alias}: names no model that was carried over")
                continue
            own = _free(_named(alias), self._models, ())
            self._models[own] = self._models[models[0]]
            self._groups[alias] = [own, *models[1:]]
            self._aliases[alias] = name

    def read_fallbacks(self) -> None:
        """Make a task for every group with fallbacks, and for every group with a name not allowed here."""
        chains: dict[str, list[str]] = {}
        given = self._setting("router_settings.fallbacks", "litellm_settings.fallbacks") or []
        for chain in given if isinstance(given, list) else [given]:
            for group, targets in self._mapping(chain, "fallbacks").items():
                chains.setdefault(group, []).extend(self._targets(f"fallbacks.{group}", targets))
        everybody = self._setting("router_settings.default_fallbacks", "litellm_settings.default_fallbacks")
        last = self._targets("default_fallbacks", everybody) if everybody else []
        for group in chains:
            if group not in self._groups and group != _ANY:
                self._left_out.append(f"fallbacks.{group}: names no model that was carried over")
        for group, (first, *others) in self._groups.items():
            turns = dict.fromkeys([*others, *chains.get(self._aliases.get(group, group), chains.get(_ANY, last))])
            turns.pop(first, None)
            if turns or first != group:
                task = Task(
                    weak=first, strong=self._teacher(first, turns), match=Match(model=group), fallback=tuple(turns)
                )
                self._tasks[first] = task

    def _teacher(self, first: str, turns: Iterable[str]) -> str:
        """Return the first other model among fallbacks; the model itself if there is none."""
        own = self._models[first].model
        return next((name for name in turns if self._models[name].model != own), first)

    def read_master_key(self) -> None:
        """Keep the gateway closed: LiteLLM's master key is the key of every client."""
        given = self._setting("general_settings.master_key")
        if given is None:
            return
        place = "general_settings.master_key"
        if referred(given) is None and len(str(given)) < _SHORTEST_KEY:
            value = self._variables.known(_MASTER_KEY, f"a key of your choice, of at least {_SHORTEST_KEY} characters")
            self._left_out.append(f"{place}: it is too short here; clients show the new key of ${_MASTER_KEY}")
        else:
            value = self._variables.holding(given, _MASTER_KEY, place)
        self._keys["litellm"] = {"key": value, **self._key_quotas()}

    def _key_quotas(self) -> dict[str, Any]:
        """Return limits and budget of everybody, which are those of the only key here."""
        most = self._setting("general_settings.global_max_parallel_requests")
        usd, duration = self._setting("litellm_settings.max_budget"), self._setting("litellm_settings.budget_duration")
        section, unusable = key_section(most, usd, duration)
        self._left_out += map(with_advice, unusable)
        return toml.changed_settings(section)

    def _targets(self, place: str, given: object) -> list[str]:
        models: list[str] = []
        for target in given if isinstance(given, list) else [given]:
            known = self._groups.get(target, []) if isinstance(target, str) else []
            models += known
            if not known:
                called = repr(target) if isinstance(target, str) else "an entry"
                self._left_out.append(f"{place}: {called} is no model that was carried over")
        return models

    def note_the_rest(self) -> None:
        """Note every setting not read so far."""
        for section, values in self._sections.items():
            self._read.add(section)
            for key in values:
                place = f"{section}.{key}"
                if place not in self._read:
                    self._left_out.append(with_advice(place))
        self._left_out += [with_advice(key) for key in self._settings if key not in self._read]

    def result(self) -> Imported:
        """Return the converted configuration. Raises ``ConfigurationError`` for mistakes collected on the way."""
        if self._mistakes:
            raise ConfigurationError(self._source, self._mistakes)
        server = {"host": "127.0.0.1", "port": 8100, "data_dir": "./data"}
        if self._default_upstream is not None:
            server["default_upstream"] = self._default_upstream
        parts = [toml.table(("server",), server)]
        parts += _tables("upstreams", "Servers that answer for models.", self._upstreams)
        parts += _tables("models", 'What clients may name as "model", and where it is.', self._models)
        parts += _tables("tasks", "Where a request goes when its first model cannot answer.", self._tasks)
        if self._keys:
            tables = [toml.table(("keys", name), values) for name, values in self._keys.items()]
            parts += [toml.comment("The keys that clients show.") + tables[0], *tables[1:]]
        variables = self._variables.in_text("\n".join(parts))
        left_out = tuple(map(toml.printable, self._left_out))
        parts = [_comments(self._introduction(variables)), *parts, _OPTIMIZER]
        if left_out:
            parts.append(_comments(["Not carried over:", *(f"- {line}" for line in left_out)]))
        return Imported(text="\n".join(parts), variables=variables, left_out=left_out)

    def _introduction(self, variables: Mapping[str, str]) -> list[str]:
        lines = [f"Preceptor, imported from {self._source}. Every setting: docs/configuration.md."]
        if not self._keys:
            lines.append("The file names no master_key, so clients need no key: see 'preceptor keys new NAME'.")
        if variables:
            lines.append("It needs these environment variables:")
            lines += [f"  {name}: {what}" for name, what in variables.items()]
        return lines


_OPTIMIZER = """\
# The tasks here only name fallbacks. To let a small model learn a task: name it as weak and a strong model beside it,
# choose a grader (numeric | exact | regex), and turn the optimizer on.
[optimizer]
enabled = false
"""


def _tables(kind: str, what: str, sections: Mapping[str, msgspec.Struct]) -> list[str]:
    tables = [toml.table((kind, name), toml.changed_settings(section)) for name, section in sections.items()]
    return [toml.comment(what) + tables[0], *tables[1:]] if tables else []


def _comments(lines: Iterable[str]) -> str:
    return "".join(map(toml.comment, lines))


def _named(name: str) -> str:
    """Return the nearest allowed name."""
    return name if _NAME.fullmatch(name) else re.sub(r"[^A-Za-z0-9._:/-]+", "-", name).lstrip("._:/-") or "model"


def _free(name: str, used: Iterable[str], reserved: Iterable[str]) -> str:
    taken = {*used, *reserved}
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free
