"""Cautions about a valid configuration."""

import pytest

from gateway.settings import parse
from gateway.settings.cautions import cautions

BASE = """
[upstreams.near]
kind = "ollama"
[upstreams.far]
kind = "openai"
base_url = "https://api.example.com/v1"
api_key = "0123456789abcdef"
[models.small]
upstream = "near"
model = "q"
[models.large]
upstream = "far"
model = "g"
price = { input = 2, output = 8 }
[tasks.sums]
match = { model = "x" }
weak = "small"
strong = "large"
"""
KEYS = '[keys.a]\nkey = "0123456789abcdef"\n'


def about(text: str) -> list[str]:
    return cautions(parse(text, source="test", environment={}))


def test_a_sound_configuration_needs_no_caution() -> None:
    """A list that always has a line is not read."""
    assert about(BASE) == []
    assert about(BASE + '[server]\nhost = "0.0.0.0"\n' + KEYS) == []
    assert about(BASE + '[server]\nhost = "::1"\n') == []


@pytest.mark.parametrize(
    ("old", "new", "caution"),
    [
        ('strong = "large"', 'strong = "small"', "tasks.sums: its model teaches itself"),
        ('upstream = "far"\nmodel = "g"', 'upstream = "near"\nmodel = "q"', "tasks.sums: its model teaches itself"),
        ('model = "q"', 'model = "q"\nprice = { input = 9, output = 9 }', "the weak model costs more"),
        ('match = { model = "x" }', "", "tasks.sums: without 'match'"),
        ("https://api.example.com", "http://api.example.com", "upstreams.far: its key travels unencrypted"),
        ("[models.small]", '[upstreams.idle]\nkind = "ollama"\n[models.small]', "upstreams.idle: no model uses it"),
        ("[models.small]", '[server]\nhost = "0.0.0.0"\n[models.small]', "everybody who reaches 0.0.0.0:8100"),
        ("[tasks.sums]", '[tasks.sums]\nrecord = "text off"', "tasks.sums.record: without texts nothing is learnt"),
        ("[tasks.sums]", '[tasks.sums]\ncache = {}\nrecord = "off"', "tasks.sums.cache: no reply is kept"),
        ("[models.small]", '[server]\nrecord = "off"\n[models.small]', "tasks.sums.record: without texts"),
        ("[models.small]", "[optimizer]\nenabled = false\n[models.small]", "optimizer.enabled: nothing is learnt"),
    ],
)
def test_what_a_user_would_regret_is_named(old: str, new: str, caution: str) -> None:
    """With the setting to change."""
    lines = about(BASE.replace(old, new, 1))
    assert any(caution in line for line in lines), lines


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "gpu-box", "vllm.internal", "[::1]"])
def test_plain_http_is_fine_at_home(host: str) -> None:
    """A key in one's own network."""
    assert about(BASE.replace("https://api.example.com", f"http://{host}:8000")) == []


def test_a_model_without_a_price_under_a_budget_is_named() -> None:
    """Its tokens count as free; a model at home costs nothing anyway."""
    free = BASE.replace("price = { input = 2, output = 8 }", "")
    line = ["models.large.price: without a price its tokens count as free under a budget"]
    assert about(free) == []
    assert about(free + "budget = { usd = 5 }\n") == line
    assert about(free + KEYS + "budget = { usd = 5 }\n") == line
    assert about(BASE + "budget = { usd = 5 }\n") == []
