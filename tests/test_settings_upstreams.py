"""Sections of upstreams: what each kind says of itself, and that none shows a secret."""

from typing import get_args

import msgspec
import pytest

from gateway.settings import (
    AnthropicSettings,
    LlamaCppSettings,
    OllamaSettings,
    OpenAISettings,
    UpstreamLimits,
    UpstreamSettings,
)

REMOTE = OpenAISettings(
    base_url="http://ann:sk-secret@host/v1?key=sk-secret", api_key="sk-secret", headers={"x-team": "sk-secret"}
)
CLAUDE = AnthropicSettings(api_key="sk-secret", headers={"x-team": "sk-secret"}, max_tokens=9)
OLLAMA = OllamaSettings(api_key="sk-secret", headers={"x-team": "sk-secret"}, max_connections=9, parallel=3)
EMBEDDED = LlamaCppSettings(parallel=4, max_connections=9)


@pytest.mark.parametrize("section", [REMOTE, CLAUDE, OLLAMA, EMBEDDED], ids=lambda section: section.kind)
def test_a_section_survives_the_way_through_a_file(section: UpstreamLimits) -> None:
    """The kind is written first and tells the sections apart."""
    written = msgspec.to_builtins(section)
    assert next(iter(written)) == "kind"
    assert msgspec.convert(written, UpstreamSettings) == section


@pytest.mark.parametrize(("section", "capacity"), [(REMOTE, 512), (CLAUDE, 512), (OLLAMA, 3), (EMBEDDED, 4)])
def test_the_capacity_is_the_number_of_requests_worked_on_at_once(section: UpstreamSettings, capacity: int) -> None:
    """A remote server takes as many as it is sent; a server at home works on a few."""
    assert section.capacity == capacity


def test_models_at_home_cost_nothing() -> None:
    """Those of the embedded server and of Ollama."""
    assert {kind.kind: kind.at_home for kind in get_args(UpstreamSettings)} == {
        "openai": False, "anthropic": False, "ollama": True, "llamacpp": True,
    }  # fmt: skip


@pytest.mark.parametrize("section", [REMOTE, CLAUDE, OLLAMA])
def test_no_representation_shows_a_secret(section: UpstreamSettings) -> None:
    """Neither as a section nor among others."""
    assert "secret" not in repr(section) + repr({"mock": section})


def test_another_process_gets_neither_key_nor_headers() -> None:
    """The rest stays; a section without secrets is itself."""
    assert "secret" not in msgspec.json.encode(OLLAMA.without_secrets()).decode()
    assert OLLAMA.without_secrets().capacity == OLLAMA.capacity
    assert EMBEDDED.without_secrets() is EMBEDDED


@pytest.mark.parametrize(
    ("section", "address"), [(REMOTE, REMOTE.base_url), (OLLAMA, ""), (OllamaSettings(base_url="http://h"), "http://h")]
)
def test_the_address_tells_two_servers_apart(section: UpstreamSettings, address: str) -> None:
    """As it is configured; answers are remembered by it."""
    assert section.address == address
