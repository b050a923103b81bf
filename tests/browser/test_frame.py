"""Signing in and out, the frame around every page, themes, keys."""

import re

from playwright.async_api import Page, expect

from tests.browser.watched import accessible, errors_of, narrow, shot
from tests.system.composition import TOKEN


async def test_a_token_signs_in_and_signing_out_ends_it(page: Page) -> None:
    await page.goto("/console")
    await shot(page, "sign-in")
    await accessible(page)
    await page.get_by_label("Token").fill("not-a-token")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("not known")
    errors_of(page).expect("401")

    await page.get_by_label("Token").fill(TOKEN)
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("heading", level=1, name="Jobs")).to_be_visible()
    assert page.url.endswith("/console/jobs")
    assert TOKEN not in page.url
    [cookie] = await page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert await page.evaluate("document.cookie") == ""
    assert TOKEN not in await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")

    await page.reload()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_label("Token")).to_be_visible()
    await page.reload()
    await expect(page.get_by_label("Token")).to_be_visible()
    assert await page.context.cookies() == []


async def test_pages_have_addresses_and_keys_lead_to_them(console: Page) -> None:
    for key, name in (("p", "Programs"), ("e", "Executors"), ("a", "Account"), ("j", "Jobs")):
        await console.goto("/console/jobs") if key == "p" else None
        await expect(console.get_by_role("navigation")).to_be_visible()
        await console.keyboard.press("g")
        await console.keyboard.press(key)
        await expect(console.get_by_role("heading", level=1, name=name)).to_be_visible()
        await expect(console).to_have_url(re.compile(f"/console/{name.lower()}$"))
        await expect(console).to_have_title(re.compile(name))
    await console.go_back()
    await expect(console.get_by_role("heading", level=1, name="Account")).to_be_visible()
    await console.reload()
    await expect(console.get_by_role("heading", level=1, name="Account")).to_be_visible()
    await console.goto("/console/nothing/here")
    await expect(console.get_by_role("heading", level=1)).to_have_text("There is no such page")


async def test_help_opens_by_a_key_and_escape_closes_it(console: Page) -> None:
    await console.goto("/console/jobs")
    await expect(console.get_by_role("heading", level=1)).to_be_visible()
    await console.keyboard.press("?")
    await expect(console.get_by_role("dialog", name="Keys")).to_be_visible()
    await accessible(console)
    await console.keyboard.press("Escape")
    await expect(console.get_by_role("dialog")).to_have_count(0)
    await console.keyboard.press("Tab")
    await expect(console.get_by_role("link", name="Skip to the content")).to_be_focused()
    await console.keyboard.press("Enter")
    await expect(console.get_by_role("main")).to_be_focused()


async def test_the_theme_follows_the_system_until_one_is_chosen(console: Page) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    await console.goto("/console/executors")
    await expect(console.get_by_role("heading", level=1)).to_be_visible()
    light = await console.evaluate(ground)
    await console.emulate_media(color_scheme="dark")
    dark = await console.evaluate(ground)
    assert light != dark

    await console.get_by_role("button", name="System theme").click()
    assert await console.evaluate(ground) == light
    await console.reload()
    await expect(console.get_by_role("button", name="Light theme")).to_be_visible()
    assert await console.evaluate(ground) == light
    await narrow(console)
