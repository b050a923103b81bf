"""Jobs of somebody who means harm: whatever their programs write is text on the page."""

import json
from urllib.parse import quote

from playwright.async_api import Page, expect

from tests.browser.jobs import opened
from tests.browser.watched import accessible, shot
from tests.system.client import Api

MARKUP = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
LINK = "javascript:document.title='owned'"
FILES = (MARKUP.replace("/", "|"), "..%2f..%2fetc", "\"'`.txt", "#?&%41")
SKIPPED = ("javascript:x", "two\nlines\x1b[31m", "\u202egnp.exe")
"""Names that the runtime keeps no file of; the page lists them."""
HOSTILE = """
import os
import pathlib
import sys


def run(task, userpub, params):
    MARKUP, LINK = params["markup"], params["link"]
    for name in params["files"]:
        pathlib.Path(os.environ["OUTPUT_DIRECTORY"], name).write_text(name)
    deep = []
    for _ in range(200):
        deep = [deep]
    print(MARKUP)
    print("\\x1b[31m" + MARKUP + "\\x1b]8;;" + LINK + "\\x07click\\x1b]8;;\\x07\\x1b[0m")
    print("\\x00\\x07\\x1b\\u202eover\\u2066\\x9b31m")
    print("x" * 1_000_000)
    print("\\r".join(["50%"] * 3), "last", file=sys.stderr)
    userpub.publish({MARKUP: 1.5, "number": 10**300, "__proto__": 2, "constructor": 3})
    userpub.publish(LINK)
    userpub.publish(deep)
    userpub.publish({"number": 1e308, "nan": float("nan"), "big": 2**80})
    userpub.progress(1, 0, MARKUP)
    return {
        MARKUP: MARKUP,
        "href": LINK,
        "deep": deep,
        "__proto__": {"polluted": True},
        "counts": {"00": float("inf")},
        "fake": {"$type": MARKUP, "value": MARKUP},
        "array": {"$type": "ndarray", "dtype": "<f8", "shape": [10**9], "base64": "AA=="},
        "long": "y" * 100_000,
        "list": list(range(100_000)),
    }
"""


async def test_what_hostile_programs_write_is_shown_as_text(console: Page, api: Api) -> None:
    name = f"<img src=x onerror=alert(1)>{LINK}"
    program = await api.upload(HOSTILE, name=name, description=MARKUP)
    job = await api.submit(
        program, {"files": [*FILES, *SKIPPED], "markup": MARKUP, "link": LINK}, tags=[MARKUP, LINK]
    )
    await api.result(job)
    await opened(console, job, state="SUCCEEDED")
    await expect(console.get_by_role("heading", level=1)).to_contain_text("<img src=x")
    result = console.get_by_role("tree", name="Result")
    await expect(result).to_contain_text(LINK)
    await expect(result).to_contain_text("98,000 more characters")
    log = console.get_by_role("region", name="Log text")
    await expect(log.locator(".log-text").first).to_have_text(MARKUP)
    await expect(log.locator(".log-text").nth(1)).to_have_text(f"{MARKUP}click")
    await expect(log.locator(".log-text").nth(2)).to_have_text("␀␇⟨U+202E⟩over⟨U+2066⟩")
    await expect(console.locator("[data-log-lines]")).to_have_attribute(
        "data-log-lines", "6"
    )  # the last one is about files not kept
    await console.get_by_role("button", name="Table").click()
    await expect(console.get_by_role("table", name="Interim results")).to_contain_text(LINK)
    await accessible(console)
    await unharmed(console)
    await shot(console, "job-hostile", whole=True)

    await console.get_by_role("tab", name="Files").click()
    files = console.get_by_role("table", name="Output files")
    await expect(files).to_contain_text(FILES[0])
    assert {each["name"] for each in (await api.job(job))["files"]} == set(FILES)
    await expect(console.get_by_role("table", name="Files that were not kept")).to_contain_text(SKIPPED[0])
    addresses = await files.get_by_role("link").evaluate_all("(links) => links.map((each) => each.href)")
    base = f"{console.url.partition('/console')[0]}/v1/jobs/{job['id']}/files/"
    assert sorted(addresses) == sorted(base + quote(each, safe="!*'()~/") for each in FILES)
    for each in FILES:
        assert (await api.http.get(f"/v1/jobs/{job['id']}/files/{quote(each)}")).status_code == 200
    await console.get_by_role("tab", name="Input").click()
    await expect(console.get_by_role("tree", name="Input")).to_contain_text(LINK)
    await unharmed(console)

    await console.goto("/console/jobs")
    row = console.locator(f".job-row:has(a[href$='{job['id']}'])")
    await expect(row).to_contain_text("<script>")
    await unharmed(console)
    await shot(console, "list-hostile")


async def unharmed(page: Page) -> None:
    """Check that nothing of what was shown became an element, a link or a script."""
    assert await page.title() != "owned"
    assert await page.locator("#app img, #app script, #app iframe, #app [onerror]").count() == 0
    schemes = await page.locator("a[href]").evaluate_all("(links) => links.map((each) => each.protocol)")
    assert set(schemes) <= {"http:"}, json.dumps(schemes)
    assert await page.evaluate("({}).polluted") is None
