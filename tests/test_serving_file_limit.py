"""The limit on open files: raised as far as it may, and half of it for clients."""

import resource
from collections.abc import Iterator

import pytest

from gateway.serving.file_limit import connection_cap, raise_file_limit
from gateway.settings import Server


@pytest.fixture
def low_limit() -> Iterator[int]:
    """A soft limit as many systems have it; the hard one is as it was."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = min(512, soft, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (low, hard))
    yield low
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_soft_limit_is_raised_towards_the_hard_one(low_limit: int) -> None:
    """As far as wanted, and never lowered."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = low_limit + 100
    expected = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    assert raise_file_limit(wanted) == expected == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert raise_file_limit(10) == expected == resource.getrlimit(resource.RLIMIT_NOFILE)[0]


@pytest.mark.parametrize(
    ("configured", "files", "cap"), [(None, 1024, 512), (None, 10**6, 10_000), (None, 1, 1), (7, 1024, 7)]
)
def test_clients_get_half_of_the_files_unless_the_configuration_says_more(
    configured: int | None, files: int, cap: int
) -> None:
    """The other half is for upstreams and the database."""
    assert connection_cap(Server(max_connections=configured), files) == cap
