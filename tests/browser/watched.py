"""Pages that are watched while a test uses them, and looked at afterwards."""

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, ConsoleMessage, Page

ROOT = Path(__file__).parents[2]
ARTIFACTS = Path(os.environ.get("QRT_TEST_ARTIFACTS", ROOT / "test-artifacts"))
"""Where screenshots are kept."""
AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
STEP_SECONDS = 20.0
"""How long a step may take on a machine that does other things too."""

_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy violated: ${event.violatedDirective} by ${event.blockedURI} ${event.sample}`));
"""


class Errors(list[str]):
    """What a page logged as errors. A test that provokes one takes it out by `expect`."""

    def expect(self, text: str) -> None:
        """Remove the errors that hold a text. Raises: AssertionError, if there are none."""
        rest = [each for each in self if text not in each]
        assert len(rest) < len(self), f"no error says {text!r}: {self}"
        self[:] = rest


@asynccontextmanager
async def watched(browser: Browser, url: str, **options: Any) -> AsyncIterator[Page]:
    """Open a page in a context of its own; afterwards it must have logged no error.

    Raises:
        AssertionError: it logged errors, broke the content security policy or threw.
    """
    options = {"viewport": WIDE, "locale": "en-GB", "reduced_motion": "reduce"} | options
    context = await browser.new_context(base_url=url, **options)
    context.set_default_timeout(STEP_SECONDS * 1000)
    await context.add_init_script(_VIOLATIONS)
    page = await context.new_page()
    errors = errors_of(page)

    def logged(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            errors.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    page.on("console", logged)
    page.on("pageerror", lambda error: errors.append(f"thrown: {error}"))
    try:
        yield page
        assert not errors, "\n".join(errors)
    finally:
        await context.close()


_ID = re.compile("[0-9a-f]{32}")
_seen_in_the_dark: set[str] = set()
_errors: dict[Page, Errors] = {}


def errors_of(page: Page) -> Errors:
    """Return what a page has logged as errors so far."""
    return _errors.setdefault(page, Errors())


async def accessible(page: Page) -> None:
    """Check what is shown against the rules of WCAG 2.2 A and AA and good practice.

    Once for each page its colours in the dark are looked at too.

    Raises:
        AssertionError: some are broken; the text lists them.
    """
    await page.evaluate(AXE)
    found = await page.evaluate("async () => (await axe.run()).violations")
    kind = _ID.sub("", urlsplit(page.url).path)
    if kind not in _seen_in_the_dark:
        _seen_in_the_dark.add(kind)
        await page.emulate_media(color_scheme="dark")
        found += await page.evaluate("async () => (await axe.run({runOnly: ['color-contrast']})).violations")
        await page.emulate_media(color_scheme="light")
    said = [
        f"{each['id']}: {each['help']}: {[node['html'][:200] for node in each['nodes'][:3]]}"
        for each in found
    ]
    assert not said, "\n".join(said)


async def shot(page: Page, name: str, *, whole: bool = False) -> Path:
    """Keep a picture of a page among the test's artifacts."""
    path = ARTIFACTS / f"{name}.png"
    await page.screenshot(path=path, full_page=whole, animations="disabled")
    return path


async def narrow(page: Page) -> None:
    """Make the page as narrow as a phone. Raises: AssertionError, if it must be moved sideways then."""
    await page.set_viewport_size({"width": 360, "height": 740})
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{wide} px are beyond the edge"
