"""Which provider a model's name means."""

import pytest

from gateway.litellm.providers import PROVIDERS, provider_of


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"model": "openai/gpt-4.1"}, ("openai", "gpt-4.1")),
        ({"model": "gpt-4.1"}, ("openai", "gpt-4.1")),
        ({"model": "o3"}, ("openai", "o3")),
        ({"model": "openai/responses/gpt-5.1"}, ("openai", "gpt-5.1")),
        ({"model": "o3-mini"}, ("openai", "o3-mini")),
        ({"model": "claude-sonnet-4"}, ("anthropic", "claude-sonnet-4")),
        ({"model": "openrouter/openai/gpt-4.1"}, ("openrouter", "openai/gpt-4.1")),
        ({"model": "hosted_vllm/facebook/opt-125m"}, ("hosted_vllm", "facebook/opt-125m")),
        ({"model": "facebook/opt-125m", "custom_llm_provider": "openai"}, ("openai", "facebook/opt-125m")),
        ({"model": "openai/gpt-4.1", "custom_llm_provider": "openai"}, ("openai", "gpt-4.1")),
        ({"model": "azure/o_series/my-o3"}, ("azure", "my-o3")),
        ({"model": "fireworks_ai/llama-v3"}, ("fireworks_ai", "accounts/fireworks/models/llama-v3")),
        ({"model": "fireworks_ai/accounts/me/models/x"}, ("fireworks_ai", "accounts/me/models/x")),
        ({"model": "ollama_chat/qwen2.5:7b"}, ("ollama_chat", "qwen2.5:7b")),
        ({"model": "mystery"}, ("", "mystery")),
        ({"model": "oracle"}, ("", "oracle")),
        ({"model": "openai/"}, ("", "openai/")),
    ],
    ids=str,
)
def test_a_name_is_a_provider_and_a_model(params: dict[str, str], expected: tuple[str, str]) -> None:
    """As LiteLLM splits them; a name without a provider only where everybody knows whose it is."""
    assert provider_of(params) == expected


def test_addresses_are_ones_that_a_configuration_takes() -> None:
    """Encrypted unless they stay on the machine, and without a slash at their end."""
    for provider in PROVIDERS.values():
        if provider.base_url is not None:
            assert provider.base_url.startswith(("https://", "http://127.0.0.1:"))
            assert not provider.base_url.endswith("/")
