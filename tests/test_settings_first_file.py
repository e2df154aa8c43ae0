"""The first configuration."""

import pytest

from gateway.settings import parse
from gateway.settings.cautions import cautions
from gateway.settings.first_file import PROVIDERS, Surroundings, first_file

ENVIRONMENT = dict.fromkeys((*PROVIDERS, "PROVIDER_API_KEY"), "k")


@pytest.mark.parametrize("variables", [(), ("OPENAI_API_KEY",), tuple(PROVIDERS)])
@pytest.mark.parametrize("ollama", [(), ("a",), ("a", "b")])
def test_every_first_file_is_valid_and_without_regrets(ollama: tuple[str, ...], variables: tuple[str, ...]) -> None:
    """A task is there if, and only if, another model can teach it."""
    text = first_file(Surroundings(ollama=ollama, variables=variables))
    settings = parse(text, source="test", environment=ENVIRONMENT)
    assert cautions(settings) == []
    assert bool(settings.tasks) == bool(variables or len(ollama) > 1)
    for task in settings.tasks.values():
        assert settings.models[task.weak].model != settings.models[task.strong].model
    assert settings.upstreams[settings.models["small"].upstream].kind == ("ollama" if ollama else "llamacpp")


def test_an_ollama_elsewhere_is_named() -> None:
    """Its usual address goes without saying."""
    assert "base_url" not in first_file(Surroundings(ollama=("a",))).partition("[upstreams.ollama]")[2]
    text = first_file(Surroundings(ollama=("a",), ollama_address="http://gpu-box:11434"))
    assert parse(text, source="test", environment={}).upstreams["ollama"].address == "http://gpu-box:11434"


def test_the_commented_lines_are_valid_too() -> None:
    """A newcomer takes the marks away."""
    everything = "\n".join(
        line.removeprefix("# ") if " = " in line or line.startswith("# [") else line
        for line in first_file().splitlines()
        if "any of:" not in line
    )
    settings = parse(everything, source="test", environment=ENVIRONMENT)
    assert settings.tasks["arithmetic"].strong == "large" and settings.models["large"].price.output == 8.0
