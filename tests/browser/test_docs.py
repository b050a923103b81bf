"""The page of the API's documents."""

from playwright.async_api import Page, expect

from tests.browser.watched import accessible, narrow, shot

SHORTENED = """
[...document.querySelectorAll("details")]
  .forEach((each, at) => { at % 20 ? each.remove() : each.open = true; });
document.querySelectorAll("a[href^='#']")
  .forEach((each) => document.querySelector(each.hash) || each.remove());
"""
"""There are hundreds of the same kind: rules of accessibility are checked on some, opened."""


async def test_the_documents_are_a_page_without_scripts(page: Page) -> None:
    await page.goto("/docs")
    await page.get_by_text("Queue a job").click()
    await expect(page.get_by_role("link", name="SubmitRequest").first).to_be_visible()
    await page.get_by_role("link", name="SubmitRequest").first.click()
    await expect(page.locator("#shape-SubmitRequest")).to_be_visible()
    await page.get_by_role("link", name="WebSockets").click()
    await expect(page.get_by_text("/v1/jobs/{id}/stream", exact=True).last).to_be_visible()
    await shot(page, "docs")
    await page.evaluate(SHORTENED)
    await narrow(page)
    await accessible(page)
