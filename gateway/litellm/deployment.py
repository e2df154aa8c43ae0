"""An entry of LiteLLM's ``model_list`` as an upstream and a model. Does not know the other entries."""

import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from gateway.domain import Value
from gateway.litellm.providers import OWN_PROTOCOL, PROVIDERS, UNKNOWN, Provider, provider_of
from gateway.litellm.quotas import LIMITS, limits_of
from gateway.litellm.variables import Variables, referred
from gateway.settings import AnthropicSettings, OllamaSettings, OpenAISettings, Price
from gateway.settings.quotas import Limits

_KINDS: Mapping[str, type[OpenAISettings | AnthropicSettings | OllamaSettings]] = {
    "openai": OpenAISettings,
    "anthropic": AnthropicSettings,
    "ollama": OllamaSettings,
}
_OLLAMA_OPTIONS = (
    "min_p", "mirostat", "mirostat_eta", "mirostat_tau", "num_batch", "num_ctx", "num_gpu", "num_predict",
    "num_thread", "repeat_last_n", "repeat_penalty", "seed", "temperature", "top_k", "top_p",
)  # fmt: skip
_MOST_RETRIES = 10
_LONGEST_S = 1e9
_ADDRESS = "an address as for LiteLLM, without a slash at its end"
_PER_MILLION = 10**6
_PRICES: Mapping[str, str] = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
}
"""Prices of ours by LiteLLM's names."""


class Unusable(Exception):
    """An entry without a counterpart here; ``str(error)`` is the reason."""


class Deployment(Value, frozen=True):
    """A model on an upstream. ``left_out`` names the settings without a counterpart here."""

    label: str
    """Name for the upstream: its host, or the provider at the provider's own address."""
    upstream: OpenAISettings | AnthropicSettings | OllamaSettings
    model: str
    price: Price
    left_out: tuple[str, ...]
    weight: float | None = None
    """The share of its group's requests, in relation to the others'."""


def read_deployment(
    params: Mapping[str, Any], info: Mapping[str, Any], place: str, defaults: Mapping[str, Any], variables: Variables
) -> Deployment:
    """Convert an entry's ``litellm_params`` and ``model_info``; ``defaults`` stand in for missing parameters.

    Raises ``Unusable``.
    """
    name, model = provider_of(params)
    provider = PROVIDERS.get(name)
    taken = provider is None and name not in OWN_PROTOCOL and bool(params.get("api_base") or params.get("base_url"))
    if provider is None and not taken:
        raise Unusable(
            f"provider {name or 'of ' + repr(model)} is not one that speaks OpenAI's API, Anthropic's or Ollama's"
        )
    provider = provider or UNKNOWN
    entry = _Entry(name or "openai", provider, model, params, place, variables)
    if taken:
        entry.notes.append(f"provider {name or 'not named'}: its address is taken as OpenAI-compatible")
    extra = entry.ollama() if provider.kind == "ollama" else {}
    upstream = _KINDS[provider.kind](
        base_url=entry.address(),
        api_key=entry.key(),
        api_key_header="api-key" if name == "azure" else None,
        headers=entry.headers(),
        limits=entry.limits(),
        **entry.bounds(defaults),
        **extra,
    )
    price, weight = entry.price(info), entry.weight()
    left_out = [*entry.notes, *entry.unread()]
    left_out += [f"model_info.{key}" for key in info if key not in _PRICES]
    return Deployment(
        label=entry.label, upstream=upstream, model=model, price=price, left_out=tuple(left_out), weight=weight
    )


class _Entry:
    """The parameters of an entry; remembers the read ones. ``notes`` are remarks on unusable values."""

    def __init__(
        self, name: str, provider: Provider, model: str, params: Mapping[str, Any], place: str, variables: Variables
    ) -> None:
        self._name = name
        self._provider = provider
        self._model = model
        self._params = {key: value for key, value in params.items() if value not in (None, "")}
        self._place = place
        self._variables = variables
        self._read = {"model", "custom_llm_provider"}
        self.notes: list[str] = []
        self.label = name
        self._version: str | None = None
        """Azure's version, from the address."""

    def _take(self, key: str) -> Any:
        self._read.add(key)
        return self._params.get(key)

    def unread(self) -> list[str]:
        """Return the parameters not read so far."""
        return [key for key in self._params if key not in self._read]

    def weight(self) -> float | None:
        """Return the entry's weight; an unusable one is noted."""
        given = self._take("weight")
        if isinstance(given, int | float) and not isinstance(given, bool) and 0 < given < _LONGEST_S:
            return float(given)
        if given is not None:
            self.notes.append("weight")
        return None

    def limits(self) -> Limits:
        """Return the limits of the deployment; unusable ones are noted."""
        limits, unusable = limits_of({name: self._take(name) for name in LIMITS})
        self.notes += unusable
        return limits

    def _variable(self, value: object, suffix: str, place: str) -> str:
        return self._variables.holding(value, f"{self._name}_{suffix}", f"{self._place}.litellm_params.{place}")

    def address(self) -> str:
        """Return the address with its query."""
        given = self._given_address()
        if given is None:
            base = self._own_address()
        elif self._provider.native:
            raise Unusable(f"its api_base is spoken to in the provider's own API, not OpenAI's ({self._name})")
        else:
            base = self._written_address(given)
        return self._azure(base) if self._name == "azure" else base

    def _own_address(self) -> str:
        """Return the provider's own address, or a variable for it."""
        provider = self._provider
        if provider.base_variable is not None:
            return self._variables.known(provider.base_variable, _ADDRESS)
        if provider.base_url is None:
            raise Unusable("it names no api_base")
        return provider.base_url

    def _given_address(self) -> object:
        first, second = self._take("api_base"), self._take("base_url")
        return second if first is None else first

    def _written_address(self, given: object) -> str:
        name = referred(given)
        if name is not None:
            return self._variables.known(name, _ADDRESS)
        if not isinstance(given, str) or not re.match(r"https?://[^/\s]+", given):
            raise Unusable("its api_base is not an address that begins with http:// or https://")
        try:
            parts = urlsplit(given)
            port = parts.port
        except ValueError:
            raise Unusable("its api_base is not an address") from None
        if port == 0 or parts.fragment or parts.hostname is None or re.search(r"\s", given):
            raise Unusable("its api_base is not an address")
        version = re.fullmatch(r"api-version=([A-Za-z0-9.-]+)", parts.query) if self._name == "azure" else None
        if parts.username is not None or (parts.query and version is None):
            # A password or a key may stand there.
            return self._variable(given, "API_BASE", "api_base")
        self.label = self._name if self._name == "azure" else parts.hostname
        if version is not None:
            self._version = version[1]
        address = given.partition("?")[0].rstrip("/")
        # LiteLLM takes the address of an endpoint, too.
        return re.sub(r"/(?:chat/completions|completions|embeddings|responses|v1/messages)\Z", "", address)

    def _azure(self, base: str) -> str:
        """Return Azure's address: a path per deployment, with the version in the query."""
        version = self._take("api_version") or self._version
        if version in ("v1", "latest", "preview") or base.endswith("/openai/v1"):
            path = base if base.endswith("/openai/v1") else f"{base}/openai/v1"
            return f"{path}?api-version=preview" if version == "preview" else path
        if version is None:
            version = self._variables.known("AZURE_API_VERSION", "such as 2024-10-21: the file does not say it")
        elif referred(version) is not None:
            version = self._variable(version, "API_VERSION", "api_version")
        else:
            version = quote(str(version), safe="")
        if "/openai/deployments/" not in base:
            base = f"{base}/openai/deployments/{quote(self._model, safe='')}"
        return f"{base}?api-version={version}"

    def key(self) -> str | None:
        """Return the key as a variable. Only the provider's own address gets LiteLLM's default key."""
        given, variable = self._take("api_key"), self._provider.key
        if given is not None:
            return self._variable(given, "API_KEY", "api_key")
        if variable is None:
            return None
        if self._given_address() is None or self._name == "azure":
            return self._variables.known(variable, "the provider's key, as for LiteLLM")
        self.notes.append(f"api_key is not given: LiteLLM may send {variable} there, this gateway sends none")
        return None

    def headers(self) -> dict[str, str]:
        """Return more headers, as variables: any may be a secret."""
        headers: dict[str, str] = {}
        organization = self._take("organization")
        if organization is not None:
            headers["OpenAI-Organization"] = self._variable(organization, "ORGANIZATION", "organization")
        for source in ("headers", "extra_headers"):
            given = self._take(source)
            if given is not None and not isinstance(given, Mapping):
                self.notes.append(f"{source} (not a mapping)")
                continue
            for name, value in (given or {}).items():
                if isinstance(name, str) and re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
                    headers[name] = self._variable(value, name, f"{source}.{name}")
                else:
                    self.notes.append(f"{source}: a name that no header has")
        return headers

    def bounds(self, defaults: Mapping[str, Any]) -> dict[str, Any]:
        """Return time-outs in seconds, and the number of retries."""
        bounds: dict[str, Any] = {}
        timeout = self._seconds("timeout", defaults)
        if timeout is not None:
            bounds["first_byte_timeout_s"] = bounds["total_timeout_s"] = timeout
        stream = self._seconds("stream_timeout", defaults)
        if stream is not None:
            bounds["idle_timeout_s"] = stream
        name = "max_retries" if self._take("max_retries") is not None else "num_retries"
        retries = self._number(name, defaults)
        if retries is not None:
            bounds["retries"] = max(0, min(int(retries), _MOST_RETRIES))
            if not 0 <= retries <= _MOST_RETRIES:
                self.notes.append(f"{name} (not in 0..{_MOST_RETRIES})")
        return bounds

    def _seconds(self, name: str, defaults: Mapping[str, Any]) -> float | None:
        value = self._number(name, defaults)
        if value is not None and not 0 < value <= _LONGEST_S:
            self.notes.append(f"{name} (out of range)")
            return None
        return value

    def _number(self, name: str, defaults: Mapping[str, Any]) -> float | None:
        given = self._take(name)
        return self._as_number(name, defaults.get(name) if given is None else given)

    def _as_number(self, name: str, value: object) -> float | None:
        number = as_number(value)
        if value is not None and number is None:
            self.notes.append(f"{name} (not a number)")
        return number

    def ollama(self) -> dict[str, Any]:
        """Return the options of the model and its time in memory."""
        options: dict[str, Any] = {}
        for name in _OLLAMA_OPTIONS:
            value = self._as_number(name, self._take(name))
            if value is not None:
                options[name] = int(value) if value == int(value) and abs(value) < 2**53 else value
        settings: dict[str, Any] = {"options": options}
        keep_alive = self._take("keep_alive")
        if isinstance(keep_alive, str) and re.fullmatch(r"-?[0-9.]+[a-z]*", keep_alive):
            settings["keep_alive"] = keep_alive
        elif isinstance(keep_alive, int) and not isinstance(keep_alive, bool):
            settings["keep_alive"] = f"{keep_alive}s"
        elif keep_alive is not None:
            self.notes.append("keep_alive (not a duration)")
        think = self._take("think")
        if isinstance(think, bool):
            settings["think"] = think
        elif think is not None:
            self.notes.append("think (not true or false)")
        return settings

    def price(self, info: Mapping[str, Any]) -> Price:
        """Return the price in USD per million tokens; LiteLLM's is per token."""
        prices: dict[str, float] = {}
        for name, ours in _PRICES.items():
            given = self._take(name)
            value = self._as_number(name, info.get(name) if given is None else given)
            if value is not None and not 0 <= value < 1:
                self.notes.append(f"{name} (not a price for one token)")
                value = None
            if value is not None:
                prices[ours] = round(value * _PER_MILLION, 9)
        return Price(**prices)


def as_number(value: object) -> float | None:
    """Return a finite number, also from text: ``3e-7`` is text to YAML. ``None`` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
