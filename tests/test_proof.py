"""The parts of a proof that decide something."""

import msgspec

from gateway.proof import PartSource


def test_a_part_stands_without_somebody_if_two_others_taught_it() -> None:
    """Two keys without a key, two end users without one; whoever did not teach it is not missed."""
    source = PartSource(part="rule", text="x", exchanges=9, keys=("a", "b", "c"), tenants=("1", "2"))
    assert source.stands_without("a", None) and not source.stands_without(None, "1")
    assert source.stands_without("z", None) and source.stands_without(None, None)
    assert not msgspec.structs.replace(source, keys=("a", "b")).stands_without("a", None)
