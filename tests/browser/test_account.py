"""One's tokens; accounts, groups and the audit log for administrators; executors and backends."""

import re

from playwright.async_api import Browser, Page, expect

from qrt_contracts.ids import new_id
from tests.browser.watched import accessible, errors_of, narrow, shot, watched
from tests.support.waiting import wait_until
from tests.system.client import Api
from tests.system.composition import Composition


async def test_a_token_is_made_shown_once_and_revoked(console: Page, api: Api) -> None:
    name = f"laptop-{new_id()}"
    await console.goto("/console/account")
    await console.get_by_role("button", name="New token").click()
    dialog = console.get_by_role("dialog", name="New token")
    await dialog.get_by_label("Name").fill(name)
    await dialog.get_by_label("admin:").uncheck()
    await dialog.get_by_label("Expires").fill("2001-01-01T00:00")
    await accessible(console)
    await dialog.get_by_role("button", name="Make it").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("past")
    errors_of(console).expect("422")
    await dialog.get_by_label("Expires").fill("2099-01-01T00:00")
    await dialog.get_by_role("button", name="Make it").click()
    secret = await console.get_by_role("status").locator("code").inner_text()
    reply = await api.http.get("/v1/account", headers={"Authorization": f"Bearer {secret}"})
    assert reply.json()["scopes"] == ["read", "run", "write"]
    await console.get_by_role("button", name="I have kept it").click()
    await accessible(console)
    await shot(console, "account-tokens")

    await console.get_by_role("button", name=f"Revoke {name}").click()
    await console.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    row = console.get_by_role("row", name=re.compile(name))
    await expect(row).to_contain_text("Revoked")
    reply = await api.http.get("/v1/account", headers={"Authorization": f"Bearer {secret}"})
    assert reply.status_code == 401


async def test_administrators_make_accounts_and_groups(
    console: Page, api: Api, chromium: Browser, runtime: Composition
) -> None:
    name, group = f"carol-{new_id()}", f"team-{new_id()}"
    await console.goto("/console/account?tab=accounts")
    await console.get_by_role("button", name="New account").click()
    dialog = console.get_by_role("dialog", name="New account")
    await dialog.get_by_label("Name").fill(name)
    await dialog.get_by_label("Role").select_option("viewer")
    await dialog.get_by_role("button", name="Make it").click()
    token = await console.get_by_role("status").locator("code").inner_text()
    await expect(console.get_by_label(f"Role of {name}")).to_have_value("viewer")
    await accessible(console)
    await shot(console, "account-accounts")

    await console.get_by_role("tab", name="Groups").click()
    await console.get_by_label("New group").fill(group)
    await console.get_by_role("button", name="Make it").click()
    await console.get_by_label(f"Add an account to {group}").fill(name)
    await console.get_by_role("button", name=f"Add to {group}").click()
    await expect(console.get_by_role("button", name=f"Take {name} out of {group}")).to_be_visible()
    assert (await api.http.get(f"/v1/groups/{group}")).json()["members"] == [name]
    await accessible(console)
    await narrow(console)

    async with watched(chromium, runtime.url) as page:
        reply = await page.request.post("/console/session", data={"token": token})
        assert reply.status == 204
        await page.goto("/console/account")
        await expect(page.get_by_text("viewer", exact=True)).to_be_visible()
        await expect(page.get_by_role("tab")).to_have_count(1)
        await page.goto("/console/programs")
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        await expect(page.get_by_role("button", name="New program")).to_have_count(0)
        await page.goto("/console/executors")
        await expect(page.get_by_role("table", name="Backends")).to_be_visible()
        await expect(page.get_by_role("table", name="Executors")).to_have_count(0)


async def test_executors_and_backends_are_shown_as_they_are_now(console: Page, api: Api) -> None:
    await console.goto("/console/executors")
    row = console.get_by_role("row", name=re.compile("^standalone"))
    await expect(row).to_contain_text("Ready")
    await expect(console.get_by_role("table", name="Backends")).to_contain_text("simulator")
    await accessible(console)
    await shot(console, "executors")
    program = await api.upload("import time\ndef run(task, userpub, params):\n    time.sleep(600)\n")
    job = await api.submit(program)
    await expect(row).to_contain_text(re.compile("1 of [0-9]+"))
    await api.http.post(f"/v1/jobs/{job['id']}/cancel")
    await expect(row).to_contain_text(re.compile("0 of [0-9]+"))


async def test_the_audit_log_tells_what_was_done(console: Page, api: Api) -> None:
    program = await api.upload("def run(task, userpub, params):\n    return 1\n")
    await api.http.delete(f"/v1/programs/{program['id']}")
    await console.goto("/console/account?tab=audit")
    found = console.get_by_role("row").filter(has_text=program["id"])

    async def told() -> bool:
        await console.get_by_role("button", name="Find").click()
        await expect(console.get_by_role("table", name="Audit log")).to_be_visible()
        return await found.count() > 0

    await wait_until(told, description="the deletion in the audit log", seconds=30)
    await expect(found.first).to_contain_text("DELETE /v1/programs/{id}")
    await accessible(console)
