"""The list of jobs: filters, states that change while one looks, places in the queue, keys."""

from playwright.async_api import Browser, Page, expect

from qrt_contracts.ids import new_id
from tests.browser.jobs import COUNTING
from tests.browser.test_jobs_page import SLEEPING
from tests.browser.watched import accessible, errors_of, narrow, shot, watched
from tests.system.client import Api
from tests.system.composition import Composition


def row(page: Page, job: dict[str, str]) -> str:
    """Return what selects the row of a job."""
    return f".job-row:has(a[href='/console/jobs/{job['id']}'])"


async def test_states_change_and_jobs_appear_while_one_looks(console: Page, api: Api) -> None:
    program = await api.upload(SLEEPING, name="a sleeper", quota={"running": 1})
    first = await api.submit(program)
    await api.until_running(first)
    await console.goto(f"/console/jobs?program={program['id']}")
    await expect(console.locator(f"{row(console, first)} [data-state=RUNNING]")).to_be_visible()

    second = await api.submit(program)
    await expect(console.locator(f"{row(console, second)} [data-state=QUEUED]")).to_be_visible()
    await expect(console.locator(f"{row(console, second)} .job-place")).to_contain_text("running")
    await accessible(console)
    await shot(console, "list")
    await console.emulate_media(color_scheme="dark")
    await shot(console, "list-dark")
    await api.http.post(f"/v1/jobs/{first['id']}/cancel")
    await expect(console.locator(f"{row(console, first)} [data-state=CANCELLED]")).to_be_visible()
    await expect(console.locator(f"{row(console, second)} [data-state=RUNNING]")).to_be_visible()
    await api.http.post(f"/v1/jobs/{second['id']}/cancel")
    await expect(console.locator(f"{row(console, second)} [data-state=CANCELLED]")).to_be_visible()


async def test_filters_find_jobs_and_stand_in_the_address(console: Page, api: Api) -> None:
    tag = new_id()
    program = await api.upload(COUNTING, name=f"counting {tag}")
    marked = await api.submit(program, {"numbers": 1}, tags=[tag, "other"])
    plain = await api.submit(program, {"numbers": 1})
    failing = await api.submit(program, None)
    for each in (marked, plain, failing):
        await api.result(each)
    await console.goto("/console/jobs")
    await console.get_by_label("Program").select_option(label=f"counting {tag}")
    shown = console.locator("[data-jobs]")
    await expect(shown).to_have_attribute("data-jobs", "3")
    await console.get_by_label("State").select_option("Failed")
    await expect(shown).to_have_attribute("data-jobs", "1")
    await expect(console.locator(f"{row(console, failing)}")).to_contain_text("ProgramError")
    await console.get_by_label("State").select_option("Any")
    await console.get_by_label("Tag").fill(tag)
    await console.keyboard.press("Enter")
    await expect(shown).to_have_attribute("data-jobs", "1")
    await console.reload()
    await expect(shown).to_have_attribute("data-jobs", "1")
    await narrow(console)
    await accessible(console)
    await shot(console, "list-narrow")

    await console.keyboard.press("Escape")
    await console.locator(".job-list .virtual").focus()
    await console.keyboard.press("j")
    await expect(console.locator("[data-row='0'] a")).to_be_focused()
    await console.keyboard.press("Enter")
    await console.wait_for_url(f"**/console/jobs/{marked['id']}")
    await console.go_back()
    await console.get_by_role("button", name="Clear").click()
    await expect(console.locator(row(console, plain))).to_be_visible()


async def test_a_shared_job_is_found_and_read_by_others_and_left_alone(
    console: Page, chromium: Browser, runtime: Composition, api: Api
) -> None:
    job = await api.submit(await api.upload(COUNTING), {"numbers": 3})
    await api.result(job)
    name = f"reader-{new_id()[-12:]}"
    issued = (await api.http.post("/v1/accounts", json={"name": name})).json()
    await console.goto(f"/console/jobs/{job['id']}")
    await console.get_by_role("button", name="Share").click()
    dialog = console.get_by_role("dialog", name="Share this job")
    await dialog.get_by_label("Accounts").fill(f"{name}, nobody-of-that-name")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog.get_by_role("alert").first).to_contain_text("nobody-of-that-name")
    errors_of(console).expect("422")
    await accessible(console)
    await dialog.get_by_label("Accounts").fill(name)
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog).to_have_count(0)
    await expect(console.get_by_text("Shared with")).to_be_visible()

    async with watched(chromium, runtime.url) as other:
        await other.request.post("/console/session", data={"token": issued["token"]})
        await other.goto("/console/jobs")
        await other.get_by_label("Whose").select_option("Shared with me")
        await other.locator(row(other, job)).get_by_role("link").click()
        await expect(other.get_by_role("region", name="Log text")).to_contain_text("line 3")
        await expect(other.get_by_role("tree", name="Result")).to_contain_text("3")
        for action in ("Delete", "Share", "Cancel"):
            await expect(other.get_by_role("button", name=action, exact=True)).to_have_count(0)
