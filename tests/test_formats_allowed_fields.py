"""The lists of fields for keys with limits."""

import pytest
from openai.types import completion_create_params, embedding_create_params
from openai.types.chat import completion_create_params as chat_create_params
from openai.types.responses import response_create_params

from gateway.formats import allowed_fields, messages

KEPT_BACK = {
    "prompt": "a stored prompt brings instructions and a model of its own",
    "access_programs": "about accounts, not about the answer",
    "image": "configures another model: the generator of images",
}


@pytest.mark.parametrize(
    ("allowed", "params"),
    [
        (allowed_fields.CHAT, chat_create_params.CompletionCreateParamsBase),
        (allowed_fields.TEXT, completion_create_params.CompletionCreateParamsBase),
        (allowed_fields.EMBEDDINGS, embedding_create_params.EmbeddingCreateParams),
        (allowed_fields.RESPONSES, response_create_params.ResponseCreateParamsBase),
    ],
    ids=["chat", "text", "embeddings", "responses"],
)
def test_every_parameter_of_openai_s_client_is_allowed(allowed: frozenset[str], params: type) -> None:
    """But for those kept back with a reason."""
    missing = params.__annotations__.keys() - allowed
    assert missing <= KEPT_BACK.keys() and "stream" in allowed | {"stream"}


def test_every_field_of_a_message_is_allowed_unless_it_is_refused_or_routes() -> None:
    """``fallbacks`` names other models, ``inference_geo`` other places."""
    refused = {name for name, fate in messages.FIELDS.items() if fate == "refused"}
    assert messages.FIELDS.keys() - refused - allowed_fields.MESSAGES <= {
        "fallbacks", "fallback_credit_token", "user_profile_id",
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["models", "fallbacks", "route", "provider", "engine", "deployment_id", "preset", "plugins", "extra_body",
     "api_base", "api_key", "base_url", "custom_llm_provider", "litellm_params", "model_list", "chat_template",
     "lora_adapters", "logits_processors"],
)  # fmt: skip
def test_what_chooses_another_model_is_in_no_list(name: str) -> None:
    """Nor another address, key or template."""
    assert name not in allowed_fields.KNOWN
