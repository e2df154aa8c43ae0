"""``/admin``: the commands ``preceptor rules``, ``tasks`` and ``keys`` over HTTP, behind the admin key.

Off until ``server.admin_key`` is set, or a key has a role for it. A decision takes effect on the next request of this
gateway; other gateways on the same store follow within a second.
"""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from litestar import Request, Router, get, post
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import FromQuery, QueryParameter

from gateway.api.admin_access import actor, authorise, parse
from gateway.api.admin_keys import list_keys, new_key, revoke_key, rotate_key
from gateway.api.admin_spend import show_spend
from gateway.api.admin_upstreams import list_upstreams
from gateway.domain import Activation, TrafficSplit
from gateway.errors import NotFound
from gateway.rules.cache_cost import CacheCost, cost_of_swap
from gateway.rules.decisions import describe, put_live, roll_back, served_by_both, set_share, switch_injection
from gateway.rules.files import to_dict
from gateway.rules.live import refresh
from gateway.rules.versions import difference, get_version
from gateway.services import Services
from gateway.store.notes import ROLLOUT

_MAX_BODY = 10**5


class _About(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    task: str
    why: str = ""


class _Version(_About, kw_only=True, forbid_unknown_fields=True):
    version: int | None
    """``null``: no rules."""


class _Share(_About, kw_only=True, forbid_unknown_fields=True):
    share: Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Switch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    on: bool
    why: str = ""


def admin(services: Services) -> Router:
    """Return the routes, guarded by the configured key."""

    def only_its_holder(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        authorise(connection.scope, services)

    return Router(
        path="/admin",
        guards=[only_its_holder],
        route_handlers=[
            list_tasks, list_rules, show_rules, diff_rules, rules_history, activate, rollback, share, get_injection,
            switch, list_keys, new_key, rotate_key, revoke_key, show_spend, list_upstreams,
        ],
    )  # fmt: skip


@get("/tasks")
async def list_tasks(services: NamedDependency[Services]) -> list[dict[str, Any]]:
    """List every task with its models, the active rules and the newest status of its roll-out."""
    store = services.store

    def read() -> list[dict[str, Any]]:
        splits = store.traffic_splits()
        return [_state(services, task, splits.get(task, TrafficSplit())) for task in services.settings.tasks]

    return await asyncio.to_thread(read)


def _state(services: Services, task: str, splits: TrafficSplit) -> dict[str, Any]:
    section, canary = services.settings.tasks[task], splits.canary
    return {
        "task": task,
        "weak": section.weak,
        "strong": section.strong,
        "serve": section.serve,
        "policy": section.rollout.policy,
        "rules": splits.live.version if splits.live is not None else None,
        "canary": None if canary is None else {"version": canary.version, "share": splits.canary_share},
        "weak_share": splits.weak_share,
        "live": ROLLOUT.json(services.store, task),
        "swap_cost": _cost(_swap_cost(services, task)),
    }


@get("/rules")
async def list_rules(services: NamedDependency[Services], task: FromQuery[str]) -> dict[str, Any]:
    """List all versions of a task with their evidence, and the number of the live version."""
    store = services.store
    versions, active = await asyncio.to_thread(lambda: (store.rule_sets(_known(services, task)), store.active()))
    live = active.get(task)
    return {
        "task": task,
        "active": live.version if live else None,
        "rule_sets": [to_dict(rule_set) for rule_set in versions],
    }


@get("/rules/show")
async def show_rules(
    services: NamedDependency[Services], task: FromQuery[str], version: FromQuery[int | None] = None
) -> dict[str, Any]:
    """Return a version (default: the live one) in the form of an export."""
    return to_dict(await asyncio.to_thread(get_version, services.store, _known(services, task), version))


@get("/rules/diff")
async def diff_rules(
    services: NamedDependency[Services],
    task: FromQuery[str],
    old: Annotated[int, QueryParameter(name="from")],
    new: Annotated[int, QueryParameter(name="to")],
) -> dict[str, Any]:
    """Compare two versions."""
    store = services.store
    _known(services, task)
    before, after = await asyncio.to_thread(lambda: (get_version(store, task, old), get_version(store, task, new)))
    return {"task": task, "from": old, "to": new, "diff": difference(before, after)}


@get("/rules/history")
async def rules_history(services: NamedDependency[Services], task: FromQuery[str]) -> dict[str, Any]:
    """List the decisions about a task, oldest first."""
    entries = await asyncio.to_thread(services.store.history, _known(services, task))
    return {"task": task, "history": [_entry(entry) for entry in entries]}


@post("/rules/activate", status_code=200, request_max_body_size=_MAX_BODY)
async def activate(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> dict[str, Any]:
    """Make a version live, or no rules."""
    body = parse(await request.body(), _Version)
    why = body.why or "activated by hand"
    return await _swapped(
        services,
        body.task,
        lambda: put_live(
            services.store, body.task, body.version, now=services.wall_clock(), by=actor(request), why=why
        ),
    )


@post("/rules/rollback", status_code=200, request_max_body_size=_MAX_BODY)
async def rollback(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> dict[str, Any]:
    """End the trial under way; without a trial, make the version before the live one live again."""
    body = parse(await request.body(), _About)
    return await _swapped(
        services,
        body.task,
        lambda: roll_back(services.store, body.task, now=services.wall_clock(), by=actor(request), why=body.why),
    )


@post("/rules/share", status_code=200, request_max_body_size=_MAX_BODY)
async def share(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> dict[str, Any]:
    """Set the weak model's share of the conversations, for a task with both models."""
    body = parse(await request.body(), _Share)
    served_by_both(_known(services, body.task), services.settings.tasks[body.task].serve)
    why = body.why or "set by hand"
    return await _decided(
        services,
        lambda: set_share(
            services.store,
            _known(services, body.task),
            body.share,
            now=services.wall_clock(),
            by=actor(request),
            why=why,
        ),
    )


@get("/injection")
async def get_injection(services: NamedDependency[Services]) -> dict[str, bool]:
    """Return the state of the kill switch, and the environment's permission to inject rules."""
    return {"on": await asyncio.to_thread(services.store.injecting), "environment": services.settings.injection}


@post("/injection", status_code=200, request_max_body_size=_MAX_BODY)
async def switch(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> dict[str, Any]:
    """Turn the injection of rules off or on, for every task."""
    body = parse(await request.body(), _Switch)
    decision = await _decided(
        services,
        lambda: switch_injection(services.store, body.on, now=services.wall_clock(), by=actor(request), why=body.why),
    )
    return {**decision, "environment": services.settings.injection}


def _known(services: Services, task: str) -> str:
    if task not in services.settings.tasks:
        raise NotFound(f"There is no task {task!r}.", param="task", code="task_not_found")
    return task


async def _swapped(services: Services, task: str, decide: Callable[[], Activation]) -> dict[str, Any]:
    """Carry out a decision about a task's rules, and tell what it costs in the prompt cache."""
    _known(services, task)
    cost = await asyncio.to_thread(_swap_cost, services, task)
    return {**await _decided(services, decide), "swap_cost": _cost(cost)}


def _swap_cost(services: Services, task: str) -> CacheCost:
    settings = services.settings
    price = settings.models[settings.tasks[task].weak].price
    return cost_of_swap(services.store, task, price, now=services.wall_clock())


def _cost(cost: CacheCost) -> dict[str, Any]:
    return {**msgspec.to_builtins(cost), "told": cost.sentence()}


async def _decided(services: Services, decide: Callable[[], Activation]) -> dict[str, Any]:
    """Carry out a decision; the very next request of this gateway follows it."""

    def work() -> Activation:
        decision = decide()
        refresh(services.store, services.rules)
        return decision

    return _entry(await asyncio.to_thread(work))


def _entry(decision: Activation) -> dict[str, Any]:
    return {**msgspec.to_builtins(decision), "told": describe(decision)}
