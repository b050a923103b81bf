"""One runtime and one Chromium for all tests of the console; a fresh page for each."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.browser.watched import STEP_SECONDS, watched
from tests.support.engines import require
from tests.system.client import Api
from tests.system.composition import TOKEN, Composition, standalone
from tests.system.conftest import wheels as wheels

expect.set_options(timeout=STEP_SECONDS * 1000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test here; they share the loop that the browser lives on."""
    for item in items:
        if "tests/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def runtime(
    tmp_path_factory: pytest.TempPathFactory,
    wheels: Path,
) -> AsyncIterator[Composition]:
    """A standalone runtime whose programs' packages come from a folder."""
    data = tmp_path_factory.mktemp("browser") / "data"
    async with standalone(data, "--wheels", str(wheels)) as whole:
        yield whole


@pytest_asyncio.fixture(loop_scope="session")
async def api(runtime: Composition) -> AsyncIterator[Api]:
    """The runtime without a browser, as its first account, which is an administrator."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=runtime.url, headers=headers, timeout=90) as client:
        yield Api(client)


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The system's Chromium, without a window."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    require(found, what="chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=["--disable-dev-shm-usage"])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(chromium: Browser, runtime: Composition) -> AsyncIterator[Page]:
    """A fresh page with nobody signed in. Whatever it logs as an error fails the test."""
    async with watched(chromium, runtime.url) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def console(page: Page) -> Page:
    """A fresh page with a session of the first account, not yet anywhere."""
    reply = await page.request.post("/console/session", data={"token": TOKEN})
    assert reply.status == 204, await reply.text()
    return page
