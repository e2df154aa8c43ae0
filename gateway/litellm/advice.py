"""Advice on LiteLLM's settings without a counterpart here."""

INSTEAD = {
    "environment_variables": "set them in the environment of the gateway",
    "litellm_settings.drop_params": "parameters go to the upstream as the client sent them",
    "router_settings.routing_strategy": "equal deployments share conversations by weight, others are fallbacks",
    "litellm_settings.cache": "a task answers the same request at temperature 0 from memory: tasks.NAME.cache",
    "litellm_settings.cache_params": "replies are kept in memory, for a time and in a size: tasks.NAME.cache",
    "litellm_settings.default_key_generate_params": "limits and budget stand in the section of each key",
    "litellm_settings.upperbound_key_generate_params": "limits and budget stand in the section of each key",
    "litellm_settings.default_internal_user_params": "limits and budget stand in the section of each key",
    "litellm_settings.max_budget": "a budget is that of a key, for a day or a month (1d, 30d, 1mo): keys.NAME.budget",
    "router_settings.provider_budget_config": "budgets are those of keys and of tasks",
    "router_settings.allowed_fails": "see breaker_failures of an upstream",
    "router_settings.cooldown_time": "see breaker_rest_s of an upstream",
}


def with_advice(place: str) -> str:
    """Return a setting's place, with the advice on it if there is some."""
    return f"{place}: {INSTEAD[place]}" if place in INSTEAD else place
