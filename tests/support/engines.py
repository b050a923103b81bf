"""Whether the engines a test needs are here, and what it means if one is not."""

import os

import pytest


def require(found: object, *, what: str) -> None:
    """Skip the test if `found` is nothing; fail it where the engines are required."""
    if found:
        return
    if os.environ.get("CI") == "true" or os.environ.get("QRT_REQUIRE_BROKER") == "1":
        pytest.fail(f"{what} is required here and not installed")
    pytest.skip(f"{what} is not installed: NOT TESTED")
