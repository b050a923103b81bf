"""What tests of the job pages share: programs, and ways to look at a page of one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Page, WebSocketRoute, expect

from tests.browser.watched import STEP_SECONDS
from tests.support.waiting import wait_until

COUNTING = """
import time


def run(task, userpub, params):
    for number in range(1, params["numbers"] + 1):
        userpub.publish({"number": number, "half": number / 2})
        print(f"line {number}", flush=True)
        time.sleep(params.get("pause", 0))
    return params["numbers"]
"""
"""Publishes and prints each number once, in order."""

_ROWS = """
async () => {
  const box = document.querySelector(".log-rows");
  const found = [];
  for (let top = 0; ; top += box.clientHeight) {
    box.scrollTop = top;
    await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
    for (const row of box.querySelectorAll(".log-row")) {
      found[Number(row.dataset.line) - 1] = row.querySelector(".log-text").textContent;
    }
    if (top + box.clientHeight >= box.scrollHeight) return found;
  }
}
"""


async def opened(page: Page, job: dict[str, Any], *, state: str | None = None, tab: str = "") -> None:
    """Open the page of a job; wait until it says that the job is in a state."""
    await page.goto(f"/console/jobs/{job['id']}" + (f"?tab={tab}" if tab else ""))
    if state:
        await until(page, state)


async def until(page: Page, state: str) -> None:
    """Wait until the page says that its job is in a state."""
    badge = page.locator(".job-state .badge")
    await expect(badge).to_have_attribute("data-state", state, timeout=2 * STEP_SECONDS * 1000)


async def counted(page: Page, selector: str, attribute: str) -> int:
    """Return the number that an element says in an attribute."""
    return int(await page.locator(selector).get_attribute(attribute) or 0)


async def past_line(page: Page, number: int) -> None:
    """Wait until the log has more lines than a number."""

    async def told() -> bool:
        return await counted(page, "[data-log-lines]", "data-log-lines") > number

    await wait_until(told, description=f"line {number}", seconds=30)


async def log_rows(page: Page) -> list[str]:
    """Scroll through the log and return the text of each line."""
    rows: list[str] = await page.evaluate(_ROWS)
    return rows


class Streams:
    """The streams of one page, each of which a test can cut."""

    def __init__(self) -> None:
        self.opened: list[WebSocketRoute] = []

    async def cut(self) -> None:
        """End the newest stream as a broken connection does."""
        await self.opened[-1].close(code=1012)


@asynccontextmanager
async def streams(page: Page) -> AsyncIterator[Streams]:
    """Stand between a page and the streams of jobs that it opens from now on."""
    found = Streams()

    def between(route: WebSocketRoute) -> None:
        route.connect_to_server()
        found.opened.append(route)

    await page.route_web_socket("**/v1/jobs/*/stream*", between)
    yield found
