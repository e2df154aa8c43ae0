"""Fuzzing: every harness runs for its share of ``FUZZ_MINUTES``. ``make fuzz MINUTES=N`` runs this folder."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test below this folder."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.fuzz)
