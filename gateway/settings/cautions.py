"""Cautions about a valid configuration: settings that a user would regret. Pure."""

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from gateway.settings.models import Model
from gateway.settings.sections import Settings
from gateway.settings.upstreams import RemoteSettings


def cautions(settings: Settings) -> list[str]:
    """Return a line for each caution, with the setting to change."""
    return [*_open_address(settings), *_upstreams(settings), *_tasks(settings), *_budgets(settings)]


def _open_address(settings: Settings) -> Iterator[str]:
    server = settings.server
    if not settings.keys and not _is_own_machine(server.host):
        yield (
            f"server.host: everybody who reaches {server.host}:{server.port} can use your models: ask for keys"
            " ('preceptor keys new NAME')"
        )


def _upstreams(settings: Settings) -> Iterator[str]:
    used = {upstream for model in settings.models.values() for upstream in model.every_upstream}
    used |= {settings.server.default_upstream or ""}
    for name, upstream in settings.upstreams.items():
        if name not in used:
            yield f"upstreams.{name}: no model uses it, and it is not server.default_upstream"
        if isinstance(upstream, RemoteSettings) and upstream.api_key is not None:
            address = urlsplit(upstream.address)
            if address.scheme == "http" and not _is_own_network(address.hostname or ""):
                yield f"upstreams.{name}: its key travels unencrypted: use https"


def _tasks(settings: Settings) -> Iterator[str]:
    for name, task in settings.tasks.items():
        weak, strong = settings.models[task.weak], settings.models[task.strong]
        if (weak.upstream, weak.model) == (strong.upstream, strong.model):
            yield f"tasks.{name}: its model teaches itself: name a stronger model as 'strong'"
        elif _costs_more(weak, strong):
            yield f"tasks.{name}: by their prices the weak model costs more than the strong one"
        if task.match.model is None and not task.match.header and task.match.system_prompt is None:
            yield f'tasks.{name}: without \'match\' it gets only requests that name it ("model": "task:{name}")'
        if task.cache is not None and (task.record or settings.server.record) != "all":
            yield f"tasks.{name}.cache: no reply is kept where texts are not recorded"
        if settings.optimizer.enabled and (task.record or settings.server.record) != "all":
            yield f"tasks.{name}.record: without texts nothing is learnt from its exchanges"
    if settings.tasks and not settings.optimizer.enabled:
        yield "optimizer.enabled: nothing is learnt unless 'preceptor optimize' runs on the same data folder"


def _costs_more(weak: Model, strong: Model) -> bool:
    dearer = weak.price.input >= strong.price.input and weak.price.output >= strong.price.output
    return dearer and weak.price != strong.price and bool(strong.price.input or strong.price.output)


def _is_own_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_own_network(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".localhost"))


def _budgets(settings: Settings) -> Iterator[str]:
    """Yield models under a budget without a price: their tokens would count as free."""
    everything = any(key.budget is not None for key in settings.keys.values())
    named = {name for task in settings.tasks.values() if task.budget is not None for name in (task.weak, task.strong)}
    for name, model in settings.models.items():
        at_home = all(settings.upstreams[upstream].at_home for upstream in model.every_upstream)
        if (everything or name in named) and not at_home and not (model.price.input or model.price.output):
            yield f"models.{name}.price: without a price its tokens count as free under a budget"
