"""The section of a model."""

from gateway.settings import Model


def test_a_model_names_its_upstream_or_several() -> None:
    """Whoever needs them all asks for them all."""
    alone = Model(model="m", upstream="a")
    several = Model(model="m", upstream="a", upstreams=("a", "b"), weights=(3.0, 1.0))
    assert (alone.every_upstream, several.every_upstream) == (("a",), ("a", "b"))
