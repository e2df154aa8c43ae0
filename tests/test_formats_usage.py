"""Token counts: taken as reported, added up, never estimated."""

import msgspec
import pytest

from gateway.domain import Usage
from gateway.formats.usage import counted, recounted


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ('{"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}', Usage(prompt_tokens=7, output_tokens=3)),
        ('{"prompt_tokens": 7}', Usage(prompt_tokens=7)),
        ('{"prompt_tokens": null, "completion_tokens": null}', Usage()),
        ("{}", Usage()),
        ("[]", Usage()),
        ("null", Usage()),
        ('"7"', Usage()),
        ('{"prompt_tokens": "7", "completion_tokens": 3.0}', Usage(prompt_tokens=7, output_tokens=3)),
        ('{"prompt_tokens": -7, "completion_tokens": true}', Usage()),
        ('{"prompt_tokens": 1e300, "completion_tokens": "x", "prompt_tokens_details": []}', Usage()),
        (
            '{"prompt_tokens": 7, "prompt_tokens_details": {"cached_tokens": 5}}',
            Usage(prompt_tokens=7, cached_tokens=5),
        ),
        (
            '{"completion_tokens": 3, "completion_tokens_details": {"reasoning_tokens": 2}}',
            Usage(output_tokens=3, reasoning_tokens=2),
        ),
    ],
)
def test_what_was_not_reported_counts_as_nothing(reported: str, expected: Usage) -> None:
    """Counts come from the upstream alone."""
    assert counted(msgspec.json.decode(reported)) == expected


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


def test_details_of_every_pass_add_up() -> None:
    """Cached and reasoning tokens are priced by themselves, so the last pass alone would be a wrong bill."""
    raw = msgspec.Raw(b'{"prompt_tokens_details":{"cached_tokens":1,"audio_tokens":0}}')
    usage = Usage(prompt_tokens=9, output_tokens=5, cached_tokens=4, reasoning_tokens=3)
    assert recounted(raw, usage) == {
        "prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }  # fmt: skip


def test_a_usage_that_is_no_object_is_replaced() -> None:
    """An odd count is no reason to refuse a reply."""
    assert recounted(msgspec.Raw(b"[]"), Usage(prompt_tokens=2))["prompt_tokens"] == 2


def test_tokens_written_to_a_cache_are_read_and_added_up() -> None:
    """Where an upstream tells them: they may have a price of their own."""
    reported = {"prompt_tokens": 9, "prompt_tokens_details": {"cache_write_tokens": 2}}
    usage = counted(reported)
    assert (usage.prompt_tokens, usage.written_tokens, usage.cached_tokens) == (9, 2, 0)
    again = recounted(msgspec.Raw(msgspec.json.encode(reported)), usage + usage)
    assert again["prompt_tokens_details"] == {"cache_write_tokens": 4}
