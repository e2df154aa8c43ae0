"""Token counts: taken as reported, added up, never estimated."""

import msgspec
import pytest

from gateway.domain import Usage
from gateway.formats.usage import UsageFields, recounted


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ('{"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}', Usage(prompt_tokens=7, output_tokens=3)),
        ('{"prompt_tokens": 7}', Usage(prompt_tokens=7)),
        ('{"prompt_tokens": null, "completion_tokens": null}', Usage()),
        ("{}", Usage()),
    ],
)
def test_what_was_not_reported_counts_as_nothing(reported: str, expected: Usage) -> None:
    """Counts come from the upstream alone."""
    assert msgspec.json.decode(reported, type=UsageFields).counted() == expected


@pytest.mark.parametrize("reported", [None, "null", "{}"])
def test_counts_are_written_where_there_were_none(reported: str | None) -> None:
    """A reply of several passes carries their sum even if the last pass reported nothing."""
    raw = None if reported is None else msgspec.Raw(reported.encode())
    assert recounted(raw, Usage(prompt_tokens=2, output_tokens=5)) == {
        "prompt_tokens": 2, "completion_tokens": 5, "total_tokens": 7
    }  # fmt: skip


def test_details_are_kept() -> None:
    """What else an upstream reports about its tokens reaches the caller."""
    raw = msgspec.Raw(
        b'{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"prompt_tokens_details":{"cached":1}}'
    )
    assert recounted(raw, Usage(prompt_tokens=2, output_tokens=5)) == {
        "prompt_tokens": 2, "completion_tokens": 5, "total_tokens": 7, "prompt_tokens_details": {"cached": 1}
    }  # fmt: skip
