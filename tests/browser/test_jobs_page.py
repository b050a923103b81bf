"""The page of a job: what it shows while the job runs and after, and what can be done there."""

from pathlib import Path

from playwright.async_api import Page, expect

from tests.browser.jobs import COUNTING, counted, log_rows, opened, past_line, streams, until
from tests.browser.watched import ROOT, accessible, errors_of, narrow, shot
from tests.support.waiting import wait_until
from tests.system.client import Api

SLOW_VQE = (
    (ROOT / "examples" / "vqe.py")
    .read_text()
    .replace("userpub.publish(", "__import__('time').sleep(0.08); userpub.publish(")
)
"""The example, slow enough to be watched."""

SLEEPING = """
import time


def run(task, userpub, params):
    print("asleep", flush=True)
    time.sleep(600)
"""

ANSWERS = """
import datetime
import os
import pathlib
import sys

import numpy as np
import quafu


def run(task, userpub, params):
    q = quafu.QuantumCircuit(2)
    q.h(0)
    q.cnot(0, 1)
    q.measure([0, 1], cbits=[0, 1])
    task.config(backend="simulator", shots=1000)
    counts = dict(task.send(q, name="bell").counts)
    pathlib.Path(os.environ["OUTPUT_DIRECTORY"], "kept notes.txt").write_text("kept")
    userpub.publish("words")
    print("\\x1b[31mred\\x1b[0m and WARNING plain")
    print("to stderr", file=sys.stderr)
    return {
        "counts": counts,
        "z": 1 - 2j,
        "array": np.arange(6.0).reshape(2, 3),
        "bytes": b"\\x00\\xff",
        "when": datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
        "large": 2**62 + 1,
        "larger": 2**80,
    }
"""


async def test_the_vqe_is_watched_while_its_chart_moves(console: Page, api: Api) -> None:
    program = await api.upload(SLOW_VQE, quota={"running": 1})
    blocker = await api.submit(program, {"iterations": 100_000, "tolerance": -1})
    await api.until_running(blocker)
    job = await api.submit(program, {"iterations": 40, "tolerance": -1}, tags=["h2"])
    await opened(console, job, state="QUEUED")
    await api.http.post(f"/v1/jobs/{blocker['id']}/cancel")
    plot = console.locator(".plot")
    picture = "document.querySelector('.plot canvas').toDataURL()"
    await expect(plot.locator("canvas")).to_be_visible()
    first, seen = await console.evaluate(picture), await counted(console, ".plot", "data-points")

    async def moved() -> bool:
        more = await counted(console, ".plot", "data-points") > seen
        return more and bool(await console.evaluate(picture) != first)

    await wait_until(moved, description="the chart to move", seconds=20)
    await until(console, "SUCCEEDED")
    await expect(plot).to_have_attribute("data-points", "40")
    await expect(console.get_by_role("checkbox", name="energy")).to_be_checked()
    await expect(console.get_by_text("hartree after 40 iterations")).to_be_visible()
    await expect(console.get_by_role("tree", name="Result")).to_contain_text("-1.857275")
    await accessible(console)
    await shot(console, "job", whole=True)

    before = await console.evaluate(picture)
    await console.get_by_role("checkbox", name="iteration").check()
    await console.get_by_role("button", name="By time").click()
    assert await console.evaluate(picture) != before
    await console.get_by_role("button", name="Table").click()
    await expect(console.get_by_role("columnheader", name="energy")).to_be_visible()
    await console.get_by_role("button", name="Show interim result 1", exact=True).click()
    await expect(console.get_by_role("dialog")).to_contain_text("iteration")
    await console.keyboard.press("Escape")

    await console.emulate_media(color_scheme="dark")
    await accessible(console)
    await shot(console, "job-dark", whole=True)
    await narrow(console)
    await shot(console, "job-narrow", whole=True)


async def test_a_reload_and_a_cut_in_the_middle_of_a_stream_leave_no_gap(console: Page, api: Api) -> None:
    # It goes on until it is cancelled: whatever is done here is done in the middle.
    job = await api.submit(await api.upload(COUNTING), {"numbers": 100_000, "pause": 0.01})
    async with streams(console) as found:
        await opened(console, job)
        await past_line(console, 40)
        await console.reload()
        await past_line(console, 80)
        before = len(found.opened)
        await found.cut()
        await wait_until(lambda: len(found.opened) > before, description="another stream", seconds=20)
        assert "after=" in found.opened[-1].url, "it goes on where it was cut"
        await past_line(console, await counted(console, "[data-log-lines]", "data-log-lines") + 20)
    await console.get_by_role("button", name="Cancel", exact=True).click()
    await until(console, "CANCELLED")
    written = (await api.log(job)).splitlines()
    assert written == [f"line {number}" for number in range(1, len(written) + 1)]
    published = sum(each["kind"] == "interim" for each in await api.outputs(await api.job(job)))
    await expect(console.locator("[data-interim-count]")).to_have_attribute(
        "data-interim-count", str(published)
    )
    await expect(console.locator("[data-log-lines]")).to_have_attribute("data-log-lines", str(len(written)))
    assert await log_rows(console) == written


async def test_a_log_is_followed_searched_filtered_and_saved(console: Page, api: Api, tmp_path: Path) -> None:
    job = await api.submit(await api.upload(COUNTING), {"numbers": 150, "pause": 0.02})
    await opened(console, job)
    log = console.get_by_role("region", name="Log text")
    follow = console.get_by_role("button", name="Follow")
    await expect(follow).to_have_attribute("aria-pressed", "true")
    await past_line(console, 60)
    await expect(log.get_by_text("line 1", exact=True)).to_have_count(0)

    await log.hover()
    await console.mouse.wheel(0, -20 * 150)
    await expect(follow).to_have_attribute("aria-pressed", "false")
    await expect(log.get_by_text("line 1", exact=True)).to_be_visible()
    await until(console, "SUCCEEDED")
    await expect(log.get_by_text("line 150", exact=True)).to_have_count(0)
    await follow.click()
    await expect(log.get_by_text("line 150", exact=True)).to_be_visible()

    await console.keyboard.press("Escape")
    await console.keyboard.press("/")
    await console.keyboard.type("LINE 7")
    await expect(console.locator(".log output")).to_have_text("1 of 11")
    await expect(console.locator(".log-row.current mark")).to_have_text("line 7")
    await console.keyboard.press("Enter")
    await expect(console.locator(".log-row.current .log-text")).to_have_text("line 70")
    await console.keyboard.press("Shift+Enter")
    await expect(console.locator(".log-row.current .log-text")).to_have_text("line 7")
    await console.get_by_role("button", name="Match case").click()
    await expect(console.locator(".log output")).to_have_text("no match")
    await console.get_by_role("button", name="stdout").click()
    await expect(console.get_by_text("Nothing of the log is chosen.")).to_be_visible()

    async with console.expect_download() as started:
        await (
            console.get_by_role("region", name="Log", exact=True).get_by_role("link", name="Download").click()
        )
    saved = tmp_path / "log"
    await (await started.value).save_as(saved)
    assert saved.read_text() == "".join(f"line {number}\n" for number in range(1, 151))


async def test_a_job_that_has_ended_shows_all_it_has_given(console: Page, api: Api, tmp_path: Path) -> None:
    program = await api.upload(ANSWERS, name="answers of a job")
    job = await api.submit(program, {"shots": 9007199254740993})
    await opened(console, job, state="SUCCEEDED")
    result = console.get_by_role("tree", name="Result")
    for text in ("1 − 2i", "float64 array, 2 × 3", "00 ff", "2024-01-02T03:04:05+00:00"):
        await expect(result).to_contain_text(text)
    await expect(result).to_contain_text(str(2**62 + 1))
    await expect(result).to_contain_text(str(2**80))
    await expect(console.get_by_role("figure")).to_contain_text("1,000 shots")
    await expect(console.get_by_role("rowheader", name="00", exact=True)).to_be_visible()
    await expect(console.locator(".ansi-fg-1")).to_have_text("red")
    await expect(console.locator(".log-row.stream-stderr")).to_contain_text("to stderr")
    await expect(console.get_by_role("table", name="Interim results")).to_contain_text("words")
    await accessible(console)
    await shot(console, "job-results", whole=True)

    await console.get_by_role("tab", name="Files").click()
    async with console.expect_download() as started:
        await console.get_by_role("link", name="kept notes.txt").click()
    download = await started.value
    await download.save_as(tmp_path / "file")
    assert (download.suggested_filename, (tmp_path / "file").read_text()) == ("kept notes.txt", "kept")

    await console.get_by_role("tab", name="Circuits").click()
    await expect(console.get_by_role("table", name="Circuits")).to_contain_text("bell")
    await accessible(console)
    await console.get_by_role("tab", name="Attempts").click()
    await expect(console.get_by_role("region", name="Attempt 1")).to_contain_text("succeeded")
    await expect(console.get_by_role("meter", name="Wall time")).to_be_visible()
    await accessible(console)
    await shot(console, "job-attempts")
    await console.get_by_role("tab", name="Input").click()
    await expect(console.get_by_role("tree", name="Input")).to_contain_text("9007199254740993")

    await console.get_by_role("button", name="Run again").click()
    await console.wait_for_url(lambda url: job["id"] not in url)
    again = {"id": console.url.rpartition("/")[2]}
    reply = await api.http.get(f"/v1/jobs/{again['id']}/input")
    assert '"input":{"shots":9007199254740993}' in reply.text
    await until(console, "SUCCEEDED")


async def test_a_job_is_cancelled_and_deleted(console: Page, api: Api) -> None:
    job = await api.submit(await api.upload(SLEEPING))
    await opened(console, job, state="RUNNING")
    await expect(console.get_by_text("asleep")).to_be_visible()
    await console.get_by_role("button", name="Cancel", exact=True).click()
    await until(console, "CANCELLED")
    await console.get_by_role("button", name="Delete").click()
    dialog = console.get_by_role("dialog")
    await accessible(console)
    await dialog.get_by_role("button", name="Delete").click()
    await console.wait_for_url("**/console/jobs")
    assert (await api.http.get(f"/v1/jobs/{job['id']}")).status_code == 404


async def test_a_queued_job_says_where_it_stands_and_why(console: Page, api: Api) -> None:
    program = await api.upload(SLEEPING, quota={"running": 1})
    first, second = await api.submit(program), await api.submit(program)
    await api.until_running(first)
    await opened(console, second, state="QUEUED")
    await expect(console.locator("[data-queue-position]")).to_contain_text("Place ")
    await expect(console.locator("[data-queue-position]")).to_contain_text("running")
    await accessible(console)
    await shot(console, "job-queued")
    for each in (first, second):
        await api.http.post(f"/v1/jobs/{each['id']}/cancel")
    await until(console, "CANCELLED")


async def test_a_failed_job_says_why_with_its_traceback(console: Page, api: Api) -> None:
    source = "def run(task, userpub, params):\n    raise ValueError('no <i>such</i> angle')\n"
    job = await api.submit(await api.upload(source))
    await opened(console, job, state="FAILED")
    await expect(console.get_by_role("alert")).to_contain_text("ProgramError")
    await expect(console.get_by_label("Traceback")).to_contain_text("no <i>such</i> angle")
    await accessible(console)
    await shot(console, "job-failed")


async def test_a_job_that_is_not_there_is_said_to_be_so(console: Page) -> None:
    await console.goto(f"/console/jobs/{'0' * 32}")
    await expect(console.get_by_role("alert")).to_contain_text("there is no job")
    errors_of(console).expect("404")
