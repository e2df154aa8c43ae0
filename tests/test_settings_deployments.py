"""Equal deployments of a model in the configuration."""

import pytest

from gateway.errors import ConfigurationError
from tests.fakes import CONFIG, settings

OTHER = '[upstreams.other]\nkind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n[upstreams.mine]\nkind = "ollama"\n'


def configured(line: str) -> str:
    return CONFIG.replace('[models.small]\nupstream = "mock"\n', f"{OTHER}[models.small]\n{line}\n")


def test_upstreams_with_their_weights() -> None:
    """The first one stands for all where a single one is wanted."""
    model = settings(configured('upstreams = ["other", "mock"]\nweights = [3, 1]')).models["small"]
    assert (model.upstream, model.upstreams, model.weights) == ("other", ("other", "mock"), (3, 1))
    assert model.every_upstream == ("other", "mock")
    assert settings(CONFIG).models["small"].every_upstream == ("mock",)


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        ("", "models.small: name its 'upstream', or 'upstreams'"),
        ('upstream = "mock"\nupstreams = ["mock"]', "name one of the two"),
        ("upstreams = []", "'upstreams' is empty"),
        ('upstreams = ["mock", "other"]\nweights = [1]', "2 'upstreams' and 1 'weights'"),
        ('upstream = "mock"\nweights = [1]', "the shares of 'upstreams'"),
        ('upstreams = ["mock", "mock"]', "twice"),
        ('upstreams = ["mock", "mine"]', "different kinds"),
        ('upstreams = ["mock", "nowhere"]', r"there is no \[upstreams.nowhere\]"),
        ('upstreams = ["mock", "other"]\nweights = [0, 1]', "weights"),
        ("upstreams = 3", "models.small.upstreams"),
    ],
)
def test_a_mistake_is_named(line: str, mistake: str) -> None:
    """With the model that it is in."""
    with pytest.raises(ConfigurationError, match=mistake):
        settings(configured(line))


def test_a_deployment_that_must_not_teach_has_no_strong_model() -> None:
    """Whichever of them it is."""
    text = configured('upstreams = ["mock", "other"]').replace('strong = "large"', 'strong = "small"')
    with pytest.raises(ConfigurationError, match=r"upstreams\.other\.may_teach"):
        settings(text.replace("[upstreams.other]", "[upstreams.other]\nmay_teach = false"))
