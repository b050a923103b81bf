"""What the library's tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from quafu_runtime import Account, RuntimeService
from tests.sdk.stand_in import TOKEN, Served


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the tester's own account out of the tests."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("QUAFU_RUNTIME_TOKEN", raising=False)
    monkeypatch.delenv("QUAFU_RUNTIME_URL", raising=False)
    (tmp_path / "home").mkdir()


@pytest.fixture
def served() -> Iterator[Served]:
    """A stand-in for the runtime, on a port of its own."""
    with Served() as runtime:
        yield runtime


@pytest.fixture
def account(served: Served) -> Account:
    """An account on the stand-in."""
    return Account(api_token=TOKEN, url=served.url)


@pytest.fixture
def service(account: Account) -> Iterator[RuntimeService]:
    """A service on the stand-in."""
    with RuntimeService(account) as open_service:
        yield open_service
