"""A person's whole way through the console, by hand alone: from signing in to a file that a job has left."""

from pathlib import Path
from textwrap import dedent

from playwright.async_api import Page, expect

from qrt_contracts.ids import new_id
from tests.browser.jobs import until
from tests.system.composition import TOKEN

SOURCE = dedent("""
    import os, pathlib

    def run(task, userpub, params):
        print("adding", params["values"])
        userpub.publish({"values": len(params["values"])})
        total = sum(params["values"])
        pathlib.Path(os.environ["OUTPUT_DIRECTORY"], "total.txt").write_text(str(total))
        return {"total": total}
    """)


async def test_from_signing_in_to_a_download(page: Page, tmp_path: Path) -> None:
    name = f"adds-{new_id()}"
    await page.goto("/console")
    await page.get_by_label("Token").fill(TOKEN)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", level=1, name="Jobs")).to_be_visible()

    await page.get_by_role("navigation").get_by_role("link", name="Programs").click()
    await page.get_by_role("button", name="New program").click()
    dialog = page.get_by_role("dialog", name="New program")
    await dialog.get_by_label("Name").fill(name)
    await dialog.get_by_label("Source").fill(SOURCE)
    await dialog.get_by_role("button", name="Upload").click()
    await expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()

    await page.get_by_role("tab", name="Run").click()
    await page.get_by_label("Input").fill('{"values": [40, 2]}')
    await page.get_by_role("button", name="Run", exact=True).click()
    await until(page, "SUCCEEDED")
    await expect(page.locator(".log-row .log-text").first).to_have_text("adding [40, 2]")
    await expect(page.get_by_role("tree", name="Result")).to_contain_text("42")

    await page.get_by_role("tab", name="Files").click()
    async with page.expect_download() as started:
        await page.get_by_role("link", name="total.txt").click()
    download = await started.value
    await download.save_as(tmp_path / "file")
    assert (download.suggested_filename, (tmp_path / "file").read_text()) == ("total.txt", "42")

    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_label("Token")).to_be_visible()
