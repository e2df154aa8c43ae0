"""What every test gets: property tests that never depend on the clock, and recorded data only where it lies."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

SHARED = Path(__file__).parents[2] / "shared"

settings.register_profile("preceptor", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("preceptor")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked ``shared`` where the recorded data is not beside the checkout."""
    if item.get_closest_marker("shared") and not SHARED.is_dir():
        pytest.skip("the recorded data is not here: it is expected in ../shared, beside the checkout")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with recorded data; for tests marked ``shared``."""
    return SHARED
