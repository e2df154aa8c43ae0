"""Advice on settings without a counterpart."""

from gateway.litellm.advice import INSTEAD, with_advice


def test_a_setting_comes_with_its_advice() -> None:
    """Others are named as they are."""
    assert with_advice("router_settings.cooldown_time") == (
        f"router_settings.cooldown_time: {INSTEAD['router_settings.cooldown_time']}"
    )
    assert with_advice("router_settings.other") == "router_settings.other"
