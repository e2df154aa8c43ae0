"""One deployment as an upstream: address, key, bounds, price, and what is left out."""

from typing import Any

import msgspec
import pytest

from gateway.litellm.deployment import Deployment, Unusable, as_number, read_deployment
from gateway.litellm.variables import Variables
from gateway.settings import Price


def deployment(model: str, info: dict[str, Any] | None = None, **params: Any) -> Deployment:
    return read_deployment({"model": model, **params}, info or {}, "model_list[0]", {}, Variables([]))


def changed_settings(model: str, **params: Any) -> dict[str, Any]:
    """The upstream's settings that differ from their defaults."""
    upstream = deployment(model, **params).upstream
    defaults = msgspec.structs.asdict(type(upstream)(base_url=""))
    given = msgspec.structs.asdict(upstream)
    return {"kind": upstream.kind} | {name: value for name, value in given.items() if value != defaults[name]}


AZURE = "https://eu.openai.azure.com"


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (
            {"model": "openai/gpt-4.1"},
            {"kind": "openai", "base_url": "https://api.openai.com/v1", "api_key": "${OPENAI_API_KEY}"},
        ),
        (
            {"model": "groq/llama-3.3-70b", "api_key": "os.environ/MINE"},
            {"kind": "openai", "base_url": "https://api.groq.com/openai/v1", "api_key": "${MINE}"},
        ),
        (
            {"model": "openai/opt", "api_base": "http://gpu1:8000/v1/", "api_key": "none"},
            {"kind": "openai", "base_url": "http://gpu1:8000/v1", "api_key": "${OPENAI_API_KEY}"},
        ),
        (
            {"model": "hosted_vllm/opt", "base_url": "http://gpu1:8000/v1"},
            {"kind": "openai", "base_url": "http://gpu1:8000/v1"},
        ),
        ({"model": "hosted_vllm/opt"}, {"kind": "openai", "base_url": "${HOSTED_VLLM_API_BASE}"}),
        (
            {"model": "openai/opt", "api_base": "os.environ/BASE", "api_key": "os.environ/KEY"},
            {"kind": "openai", "base_url": "${BASE}", "api_key": "${KEY}"},
        ),
        (
            {"model": "openai/opt", "api_base": "https://me:secret@host/v1", "api_key": "os.environ/KEY"},
            {"kind": "openai", "base_url": "${OPENAI_API_BASE}", "api_key": "${KEY}"},
        ),
        (
            {"model": "openai/opt", "api_base": "https://host/v1?key=secret", "api_key": "os.environ/KEY"},
            {"kind": "openai", "base_url": "${OPENAI_API_BASE}", "api_key": "${KEY}"},
        ),
        ({"model": "ollama/llama3"}, {"kind": "ollama", "base_url": "http://127.0.0.1:11434"}),
        (
            {"model": "ollama_chat/llama3", "api_base": "http://box:11434", "num_ctx": 8192, "temperature": "0.5",
             "keep_alive": -1, "think": False},
            {"kind": "ollama", "base_url": "http://box:11434", "options": {"num_ctx": 8192, "temperature": 0.5},
             "keep_alive": "-1s", "think": False},
        ),
        (
            {"model": "claude-sonnet-4-5"},
            {"kind": "anthropic", "base_url": "https://api.anthropic.com", "api_key": "${ANTHROPIC_API_KEY}"},
        ),
        (
            {"model": "anthropic/claude", "api_base": "https://proxy/anthropic/v1/messages", "api_key": "x"},
            {"kind": "anthropic", "base_url": "https://proxy/anthropic", "api_key": "${ANTHROPIC_API_KEY}"},
        ),
        (
            {"model": "azure/gpt eu", "api_base": f"{AZURE}/", "api_version": "2024-10-21", "api_key": "x"},
            {"kind": "openai", "base_url": f"{AZURE}/openai/deployments/gpt%20eu?api-version=2024-10-21",
             "api_key": "${AZURE_API_KEY}", "api_key_header": "api-key"},
        ),
        (
            {"model": "azure/a", "api_base": f"{AZURE}/openai/deployments/b"},
            {"kind": "openai", "base_url": f"{AZURE}/openai/deployments/b?api-version=${{AZURE_API_VERSION}}",
             "api_key": "${AZURE_API_KEY}", "api_key_header": "api-key"},
        ),
        (
            {"model": "azure/a", "api_base": f"{AZURE}/openai/deployments/b/chat/completions?api-version=2024-10-21"},
            {"kind": "openai", "base_url": f"{AZURE}/openai/deployments/b?api-version=2024-10-21",
             "api_key": "${AZURE_API_KEY}", "api_key_header": "api-key"},
        ),
        (
            {"model": "openai/x", "api_base": "http://gpu1:8000/v1/chat/completions", "api_key": "none"},
            {"kind": "openai", "base_url": "http://gpu1:8000/v1", "api_key": "${OPENAI_API_KEY}"},
        ),
        (
            {"model": "moonshot/kimi-k2"},
            {"kind": "openai", "base_url": "https://api.moonshot.ai/v1", "api_key": "${MOONSHOT_API_KEY}"},
        ),
        (
            {"model": "newcomer/x", "api_base": "https://api.newcomer.example/v1", "api_key": "os.environ/KEY"},
            {"kind": "openai", "base_url": "https://api.newcomer.example/v1", "api_key": "${KEY}"},
        ),
        (
            {"model": "azure/a", "api_base": AZURE, "api_version": "preview"},
            {"kind": "openai", "base_url": f"{AZURE}/openai/v1?api-version=preview",
             "api_key": "${AZURE_API_KEY}", "api_key_header": "api-key"},
        ),
        (
            {"model": "azure/a", "api_base": f"{AZURE}/openai/v1/"},
            {"kind": "openai", "base_url": f"{AZURE}/openai/v1",
             "api_key": "${AZURE_API_KEY}", "api_key_header": "api-key"},
        ),
        (
            {"model": "azure/a", "api_version": "os.environ/VERSION"},
            {"kind": "openai", "base_url": "${AZURE_API_BASE}/openai/deployments/a?api-version=${VERSION}",
             "api_key": "${AZURE_API_KEY}", "api_key_header": "api-key"},
        ),
        (
            {"model": "openrouter/x/y", "extra_headers": {"X-Title": "me"}, "organization": "org-1"},
            {"kind": "openai", "base_url": "https://openrouter.ai/api/v1", "api_key": "${OPENROUTER_API_KEY}",
             "headers": {"OpenAI-Organization": "${OPENROUTER_ORGANIZATION}", "X-Title": "${OPENROUTER_X_TITLE}"}},
        ),
        (
            {"model": "lm_studio/x", "timeout": 20, "stream_timeout": "5.5", "max_retries": 0, "num_retries": 4},
            {"kind": "openai", "base_url": "${LM_STUDIO_API_BASE}", "first_byte_timeout_s": 20.0,
             "total_timeout_s": 20.0, "idle_timeout_s": 5.5, "retries": 0},
        ),
    ],
    ids=lambda value: str(value.get("model", "")) or "",
)  # fmt: skip
def test_an_upstream_says_the_same(params: dict[str, Any], expected: dict[str, Any]) -> None:
    """Address, key, headers, time-outs, options; every secret as a variable."""
    assert changed_settings(**params) == expected


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"model": "bedrock/amazon.titan"}, "provider bedrock is not one"),
        ({"model": "mystery"}, "provider of 'mystery' is not one"),
        ({"model": "newcomer/x"}, "provider newcomer is not one"),
        ({"model": "cohere/command-r", "api_base": "https://proxy/v1"}, "provider cohere is not one"),
        ({"model": "llamafile/x"}, "it names no api_base"),
        ({"model": "gemini/g", "api_base": "https://proxy/gemini"}, "in the provider's own API"),
        *(
            ({"model": "openai/x", "api_base": address}, "api_base is not an address")
            for address in ("localhost:8000", "ftp://x", 5, ["http://x"], "http://", "http://[::1", "http://x:99999",
                            "http://x:0", "http://x/a b", "http://x/#a", "os.environ/MY-BASE", "http://x\n/v1")
        ),
    ],
    ids=str,
)  # fmt: skip
def test_what_has_no_place_here_says_why(params: dict[str, Any], why: str) -> None:
    """Instead of a guess that fails at the first request."""
    with pytest.raises(Unusable, match=why):
        deployment(**params)


@pytest.mark.parametrize(
    ("params", "left_out"),
    [
        ({"model": "groq/x", "rpm": "many", "tags": ["a"]}, ("rpm", "tags")),
        ({"model": "groq/x", "rpm": None, "tags": ""}, ()),
        ({"model": "groq/x", "timeout": "soon"}, ("timeout (not a number)",)),
        ({"model": "groq/x", "timeout": -1}, ("timeout (out of range)",)),
        ({"model": "groq/x", "timeout": True}, ("timeout (not a number)",)),
        ({"model": "groq/x", "num_retries": 99}, ("num_retries (not in 0..10)",)),
        ({"model": "groq/x", "num_retries": -1}, ("num_retries (not in 0..10)",)),
        ({"model": "groq/x", "extra_headers": "X: y"}, ("extra_headers (not a mapping)",)),
        ({"model": "groq/x", "extra_headers": {"a b\n": "y"}}, ("extra_headers: a name that no header has",)),
        ({"model": "ollama/x", "num_ctx": [1]}, ("num_ctx (not a number)",)),
        ({"model": "ollama/x", "keep_alive": "a while"}, ("keep_alive (not a duration)",)),
        ({"model": "ollama/x", "think": "high"}, ("think (not true or false)",)),
        ({"model": "groq/x", "temperature": 0.5}, ("temperature",)),
        ({"model": "groq/x", "info": {"mode": "chat", 5: 6}}, ("model_info.mode", "model_info.5")),
        (
            {"model": "newcomer/x", "api_base": "http://gpu1/v1"},
            ("provider newcomer: its address is taken as OpenAI-compatible",),
        ),
        (
            {"model": "openai/x", "api_base": "http://gpu1/v1"},
            ("api_key is not given: LiteLLM may send OPENAI_API_KEY there, this gateway sends none",),
        ),
    ],
    ids=str,
)
def test_nothing_is_dropped_in_silence(params: dict[str, Any], left_out: tuple[str, ...]) -> None:
    """Every parameter that is not carried over is named, and what cannot be read says how."""
    assert deployment(**params).left_out == left_out


@pytest.mark.parametrize(
    ("given", "price"),
    [
        ({"input_cost_per_token": 0.000003, "output_cost_per_token": "1.2e-5"}, Price(input=3.0, output=12.0)),
        (
            {"input_cost_per_token": 3e-6, "cache_read_input_token_cost": 3e-7, "cache_creation_input_token_cost": 0},
            Price(input=3.0, cache_read=0.3, cache_write=0.0),
        ),
        ({"input_cost_per_token": 0}, Price()),
        ({"input_cost_per_token": -1}, Price()),
        ({"input_cost_per_token": 3}, Price()),
        ({"input_cost_per_token": float("nan")}, Price()),
    ],
)
def test_prices_are_for_a_million_tokens(given: dict[str, Any], price: Price) -> None:
    """From the information about the model or from its parameters; what is no price is none."""
    assert deployment("groq/x", info=given).price == price
    assert deployment("groq/x", **given).price == price


def test_an_upstream_is_called_after_its_host() -> None:
    """And after its provider where it is reached at the provider's own address."""
    assert deployment("groq/x").label == "groq"
    assert deployment("openai/x", api_base="http://gpu1:8000/v1").label == "gpu1"
    assert deployment("azure/x", api_base=AZURE).label == "azure"


@pytest.mark.parametrize(
    ("value", "number"),
    [(1, 1.0), ("3e-7", 3e-7), (True, None), ("x", None), (None, None), ("inf", None), (10**400, None), ([], None)],
)
def test_a_number_may_stand_as_text(value: object, number: float | None) -> None:
    """YAML 1.1 takes ``3e-7`` for text."""
    assert as_number(value) == number
