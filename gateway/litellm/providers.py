"""LiteLLM's providers with OpenAI's API, Anthropic's or Ollama's: their addresses, and the variables of their keys.

The addresses are the documented ones. Other providers need a translation, or an address of the account: an entry with
an address of its own is taken all the same, and noted.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

from gateway.domain import Value


class Provider(Value, frozen=True):
    """The address and the key of a provider."""

    key: str | None = None
    """Environment variable read by LiteLLM for a key not in the file."""
    base_url: str | None = None
    """Address of its API; ``None`` if it depends on the account or the machine."""
    base_variable: str | None = None
    """Environment variable read by LiteLLM for an address not in the file."""
    kind: Literal["openai", "anthropic", "ollama"] = "openai"
    native: bool = False
    """LiteLLM speaks the provider's own API: an address in the file is not OpenAI-compatible."""


_OPENAI = Provider(key="OPENAI_API_KEY", base_url="https://api.openai.com/v1")
_OLLAMA = Provider(kind="ollama", base_url="http://127.0.0.1:11434")

PROVIDERS: Mapping[str, Provider] = {
    "openai": _OPENAI,
    "text-completion-openai": _OPENAI,
    "anthropic": Provider(kind="anthropic", key="ANTHROPIC_API_KEY", base_url="https://api.anthropic.com"),
    "azure": Provider(key="AZURE_API_KEY", base_variable="AZURE_API_BASE"),
    "cerebras": Provider(key="CEREBRAS_API_KEY", base_url="https://api.cerebras.ai/v1"),
    "dashscope": Provider(key="DASHSCOPE_API_KEY", base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1"),
    "custom_openai": Provider(),
    "deepinfra": Provider(key="DEEPINFRA_API_KEY", base_url="https://api.deepinfra.com/v1/openai"),
    "deepseek": Provider(key="DEEPSEEK_API_KEY", base_url="https://api.deepseek.com/v1"),
    "fireworks_ai": Provider(key="FIREWORKS_AI_API_KEY", base_url="https://api.fireworks.ai/inference/v1"),
    "gemini": Provider(
        key="GEMINI_API_KEY", base_url="https://generativelanguage.googleapis.com/v1beta/openai", native=True
    ),
    "featherless_ai": Provider(key="FEATHERLESS_AI_API_KEY", base_url="https://api.featherless.ai/v1"),
    "friendliai": Provider(key="FRIENDLI_TOKEN", base_url="https://api.friendli.ai/serverless/v1"),
    "galadriel": Provider(key="GALADRIEL_API_KEY", base_url="https://api.galadriel.com/v1"),
    "github": Provider(key="GITHUB_API_KEY", base_url="https://models.github.ai/inference"),
    "groq": Provider(key="GROQ_API_KEY", base_url="https://api.groq.com/openai/v1"),
    "hosted_vllm": Provider(base_variable="HOSTED_VLLM_API_BASE"),
    "hyperbolic": Provider(key="HYPERBOLIC_API_KEY", base_url="https://api.hyperbolic.xyz/v1"),
    "lambda_ai": Provider(key="LAMBDA_API_KEY", base_url="https://api.lambda.ai/v1"),
    "litellm_proxy": Provider(key="LITELLM_PROXY_API_KEY", base_variable="LITELLM_PROXY_API_BASE"),
    "llamafile": Provider(),
    "lm_studio": Provider(base_variable="LM_STUDIO_API_BASE"),
    "meta_llama": Provider(key="LLAMA_API_KEY", base_url="https://api.llama.com/compat/v1"),
    "mistral": Provider(key="MISTRAL_API_KEY", base_url="https://api.mistral.ai/v1"),
    "moonshot": Provider(key="MOONSHOT_API_KEY", base_url="https://api.moonshot.ai/v1"),
    "nebius": Provider(key="NEBIUS_API_KEY", base_url="https://api.studio.nebius.ai/v1"),
    "novita": Provider(key="NOVITA_API_KEY", base_url="https://api.novita.ai/v3/openai"),
    "nscale": Provider(key="NSCALE_API_KEY", base_url="https://inference.api.nscale.com/v1"),
    "nvidia_nim": Provider(key="NVIDIA_NIM_API_KEY", base_url="https://integrate.api.nvidia.com/v1"),
    "ollama": _OLLAMA,
    "ollama_chat": _OLLAMA,
    "openai_like": Provider(),
    "openrouter": Provider(key="OPENROUTER_API_KEY", base_url="https://openrouter.ai/api/v1"),
    "perplexity": Provider(key="PERPLEXITYAI_API_KEY", base_url="https://api.perplexity.ai"),
    "sambanova": Provider(key="SAMBANOVA_API_KEY", base_url="https://api.sambanova.ai/v1"),
    "together_ai": Provider(key="TOGETHERAI_API_KEY", base_url="https://api.together.xyz/v1"),
    "volcengine": Provider(key="VOLCENGINE_API_KEY", base_url="https://ark.cn-beijing.volces.com/api/v3"),
    "xai": Provider(key="XAI_API_KEY", base_url="https://api.x.ai/v1"),
    "zai": Provider(key="ZAI_API_KEY", base_url="https://api.z.ai/api/paas/v4"),
}

UNKNOWN = Provider()
"""Any other provider: an entry with an address of its own is taken as OpenAI-compatible."""
OWN_PROTOCOL = frozenset({
    "ai21", "bedrock", "bedrock_converse", "clarifai", "cloudflare", "cohere", "cohere_chat", "gigachat", "nlp_cloud",
    "oci", "oobabooga", "palm", "petals", "predibase", "replicate", "sagemaker", "sagemaker_chat", "triton",
    "vertex_ai", "vertex_ai_beta", "watsonx", "watsonx_text",
})  # fmt: skip
"""Providers that LiteLLM speaks to in an API of their own, at whatever address."""

_BARE_NAMES = (
    (re.compile(r"(?:gpt-|chatgpt-|o[134](?:-|$)|text-embedding-|ft:gpt-)"), "openai"),
    (re.compile(r"claude-"), "anthropic"),
)
"""Model names known to LiteLLM without a provider's prefix."""


def provider_of(params: Mapping[str, Any]) -> tuple[str, str]:
    """Return the provider's name, empty if unknown, and its own name of the model."""
    model: str = params["model"]
    given = params.get("custom_llm_provider")
    if isinstance(given, str):
        return given, _own_name(given, model.removeprefix(f"{given}/"))
    named, slash, rest = model.partition("/")
    if slash and rest:
        return named, _own_name(named, rest)
    return next((name for pattern, name in _BARE_NAMES if pattern.match(model)), ""), model


def _own_name(provider: str, model: str) -> str:
    """Expand LiteLLM's short forms of model names."""
    if provider == "fireworks_ai" and not model.startswith("accounts/") and "#" not in model:
        return f"accounts/fireworks/models/{model}"
    if provider == "azure":  # azure/o_series/NAME: the middle part is a hint to LiteLLM
        return model.rpartition("/")[2]
    if provider == "openai":  # openai/responses/NAME: the API that LiteLLM uses; here the client's choice counts
        return model.removeprefix("responses/")
    return model
