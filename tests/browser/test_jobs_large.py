"""Lists and logs that are long: only what is seen stands in the page, and all of it can be reached."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.async_api import Page, Route, expect

from tests.browser.jobs import opened
from tests.browser.watched import accessible, shot
from tests.support.waiting import wait_until
from tests.system.client import Api

LINES = 1_000_000
MANY_LINES = """
import sys


def run(task, userpub, params):
    for start in range(0, params, 5000):
        sys.stdout.write("".join(f"line {number}\\n" for number in range(start + 1, start + 5001)))
"""
JOBS = 10_000


async def test_a_log_of_a_million_lines_stays_usable(console: Page, api: Api) -> None:
    job = await api.submit(await api.upload(MANY_LINES), LINES)
    await api.result(job)
    await opened(console, job, state="SUCCEEDED")
    await expect(console.locator("[data-log-lines]")).to_have_attribute(
        "data-log-lines", str(LINES), timeout=60_000
    )
    log = console.get_by_role("region", name="Log text")
    await expect(log.get_by_text("line 1", exact=True)).to_be_visible()
    assert await console.locator(".log-row").count() < 100

    await log.focus()
    await console.keyboard.press("End")
    await expect(log.get_by_text(f"line {LINES}", exact=True)).to_be_visible()
    await console.keyboard.press("PageUp")
    await expect(log.get_by_text(f"line {LINES - 40}", exact=True)).to_be_visible()
    await log.hover()
    await console.mouse.wheel(0, -20 * 200)  # by rows of 20 px, not by what the scroll bar makes of them
    await expect(log.get_by_text(f"line {LINES - 240}", exact=True)).to_be_visible()
    await console.get_by_label("Search the log").fill("line 654321")
    await expect(console.locator(".log output")).to_have_text("1 of 1")
    await expect(log.get_by_text("line 654321", exact=True)).to_be_visible()
    await console.get_by_label("Search the log").fill("777")
    await expect(console.locator(".log output")).to_have_text("1 of 3,700")
    assert await console.locator(".log-row").count() < 100
    await shot(console, "job-long-log")
    await console.keyboard.press("Escape")
    await log.focus()
    await console.keyboard.press("Home")
    await expect(log.get_by_text("line 1", exact=True)).to_be_visible()


async def test_a_list_of_ten_thousand_jobs_stays_usable(console: Page, api: Api) -> None:
    job = await api.submit(await api.upload("def run(task, userpub, params):\n    return 1\n"))
    await api.result(job)
    history = History(await api.job(job))
    await console.route(re.compile(r"/v1/jobs\?"), history.answer)
    await console.goto("/console/jobs")
    table = console.get_by_role("table", name="Jobs")
    await expect(table.get_by_text(f"n{JOBS}", exact=True)).to_be_visible()
    assert history.told <= 1000, "jobs are read as they are looked at"
    rows = console.locator(".job-list .virtual")

    async def at_the_end() -> bool:
        await rows.evaluate("(list) => { list.scrollTop = list.scrollHeight; }")
        return await console.locator(f"[data-jobs='{JOBS}']").count() == 1

    await wait_until(at_the_end, description="all jobs to be read", seconds=60)
    await rows.evaluate("(list) => { list.scrollTop = list.scrollHeight; }")
    await expect(table.get_by_text("n1", exact=True)).to_be_visible()
    assert await console.locator(".job-row").count() < 100
    await shot(console, "list-long")
    await accessible(console)

    await rows.focus()
    await console.keyboard.press("Home")
    await expect(console.locator("[data-row='0'] a")).to_be_focused()
    await console.keyboard.press("j")
    await expect(console.locator("[data-row='1'] a")).to_be_focused()
    await console.keyboard.press("End")
    await expect(console.locator(f"[data-row='{JOBS - 1}'] a")).to_be_focused()
    await console.get_by_label("State").select_option("Failed")
    await expect(table.get_by_text("n9996", exact=True)).to_be_visible()


class History:
    """Answers for the runtime that somebody has 10,000 jobs, the seventh of each seven failed."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._jobs = [
            {
                **job,
                "id": f"{number:032x}",
                "tags": [f"n{number}"],
                "status": "FAILED" if number % 7 == 0 else "SUCCEEDED",
            }
            for number in range(JOBS, 0, -1)
        ]
        self.told = 0

    async def answer(self, route: Route) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(route.request.url).query).items()}
        wanted = [each for each in self._jobs if query.get("status") in (None, each["status"])]
        first = next((at for at, each in enumerate(wanted) if each["id"] < query.get("cursor", "g")), 0)
        page = wanted[first : first + int(query["limit"])]
        self.told += len(page)
        more = first + len(page) < len(wanted)
        await route.fulfill(json={"jobs": page, "next_cursor": page[-1]["id"] if more else None})
