"""Programs: uploading, looking, running by a form made from the signature, changing, deleting."""

import json
import re
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect

from qrt_contracts.ids import new_id
from tests.browser.watched import accessible, errors_of, narrow, shot
from tests.support.projects import project
from tests.system.client import Api

VQE = (Path(__file__).parents[2] / "examples" / "vqe.py").read_text()
PROJECT = '''
from typing import Literal
from pydantic import BaseModel


class Data(BaseModel):
    values: list[float]


def run(data: Data, shots: int = 100, method: Literal["sum", "mean"] = "sum", exact: bool = False) -> dict:
    """Add some values.

    As many times as there are shots.
    """
    return {"sum": sum(data.values) * shots}
'''
MARKUP = "<img src=x onerror=console.error('xss')><b>bold</b>"


async def filled(page: Page, name: str, source: str) -> None:
    """Open the dialog of a new program and fill it in."""
    await page.goto("/console/programs")
    await page.get_by_role("button", name="New program").click()
    dialog = page.get_by_role("dialog", name="New program")
    await dialog.get_by_label("Name").fill(name)
    await dialog.get_by_label("Source").fill(source)


async def test_a_program_is_uploaded_looked_at_and_run(console: Page, api: Api) -> None:
    name = f"vqe-{new_id()}"
    await filled(console, name, "def run(:\n")
    dialog = console.get_by_role("dialog")
    await accessible(console)
    await shot(console, "programs-new")
    await dialog.get_by_role("button", name="Upload").click()
    await expect(dialog.get_by_role("alert")).to_contain_text(re.compile("line 1"))
    errors_of(console).expect("422")

    await dialog.get_by_label("Source").fill(VQE)
    await dialog.get_by_role("button", name="Upload").click()
    await expect(console.get_by_role("heading", level=1, name=name)).to_be_visible()
    await console.get_by_role("tab", name="Source").click()
    await expect(console.get_by_role("region", name="Source of program.py")).to_contain_text("variational")
    await accessible(console)
    await shot(console, "programs-source")

    await console.get_by_role("tab", name="Run").click()
    await console.get_by_label("Input").fill('{"iterations": }')
    await console.get_by_role("button", name="Run", exact=True).click()
    await expect(console.get_by_role("alert")).to_contain_text("no JSON")
    await console.get_by_label("Input").fill('{"iterations": 4, "big": 9007199254740993}')
    await console.get_by_role("button", name="Run", exact=True).click()
    await expect(console).to_have_url(re.compile("/console/jobs/[0-9a-f]{32}$"))
    given = await api.http.get(f"/v1/jobs/{console.url.rpartition('/')[2]}/input")
    assert '"big":9007199254740993' in given.text, "numbers stay as they were typed"
    await console.get_by_role("link", name="Change and run").click()
    await expect(console.get_by_label("Input")).to_have_value(re.compile('"big":9007199254740993'))


async def test_a_form_is_made_of_the_signature_and_faults_stand_beside_their_fields(
    console: Page, api: Api
) -> None:
    name = f"adder-{new_id()}"
    upload = await api.http.post(
        "/v1/programs",
        data={"name": name},
        files={"archive": ("p.zip", project(PROJECT, {"README.md": "# Adder"}))},
    )
    program = upload.json()
    built = await api.http.get(f"/v1/programs/{program['id']}/versions/1", params={"wait": 50})
    assert built.json()["build"]["state"] == "ready", built.text
    await console.goto("/console/programs")
    await console.get_by_label("Find").fill(name)
    await console.get_by_role("link", name=name).click()
    await expect(console.get_by_text("Add some values.", exact=True)).to_be_visible()
    await expect(console.get_by_label("shots")).to_have_attribute("placeholder", "default: 100")
    await accessible(console)
    await shot(console, "programs-run")

    data = console.get_by_role("group", name="data")
    await data.get_by_label("values").fill("[1, 2]")
    await console.get_by_label("shots").fill("many")
    await console.get_by_role("button", name="Run", exact=True).click()
    await expect(console.get_by_role("alert")).to_contain_text("integer")
    assert await console.get_by_label("shots").get_attribute("aria-invalid") == "true"
    errors_of(console).expect("422")
    await narrow(console)
    await shot(console, "programs-run-narrow", whole=True)
    await accessible(console)

    await console.get_by_label("shots").fill("3")
    await console.get_by_text("Tags, secrets, priority, seed").click()
    await console.get_by_label("Tags").fill("first, second")
    await console.get_by_role("button", name="Run", exact=True).click()
    await expect(console).to_have_url(re.compile("/console/jobs/[0-9a-f]{32}$"))
    job = (await api.http.get(f"/v1/jobs/{console.url.rpartition('/')[2]}")).json()
    given = (await api.http.get(f"/v1/jobs/{job['id']}/input")).json()["input"]
    assert (given, job["tags"]) == ({"data": {"values": [1, 2]}, "shots": 3}, ["first", "second"])
    await api.http.post(f"/v1/jobs/{job['id']}/cancel")

    await console.goto(f"/console/programs/{program['id']}?tab=source")
    await console.get_by_role("button", name="README.md").click()
    await expect(console.get_by_role("region", name="Source of README.md")).to_contain_text("# Adder")
    async with console.expect_download() as download:
        await console.get_by_role("link", name="Download").click()
    assert (await download.value).suggested_filename == f"{program['id']}.zip"


async def test_versions_settings_and_the_end_of_a_program(console: Page, api: Api) -> None:
    program = await api.upload("def run(task, userpub, params):\n    return 1\n")
    await console.goto(f"/console/programs/{program['id']}")
    await console.get_by_role("button", name="New version").click()
    dialog = console.get_by_role("dialog")
    await dialog.get_by_label("Source").fill("def run(task, userpub, params):\n    return 2\n")
    await dialog.get_by_role("button", name="Upload").click()
    await console.get_by_role("tab", name="Versions").click()
    await expect(console.get_by_role("row")).to_have_count(3)
    await accessible(console)
    await console.get_by_role("button", name="Source of version 1").click()
    await expect(console.get_by_role("region", name="Source of program.py")).to_contain_text("return 1")
    await console.get_by_role("tab", name="Build log").click()
    await expect(console.get_by_role("log")).to_contain_text("no building")

    await console.get_by_role("tab", name="Settings").click()
    await console.get_by_label("Description").fill("says two")
    await console.get_by_label("Visibility").select_option("public")
    await console.get_by_label("Time (s)", exact=True).fill("0")
    await console.get_by_role("button", name="Save").click()
    await expect(console.get_by_role("alert")).to_contain_text("greater than 0")
    errors_of(console).expect("422")
    await console.get_by_label("Time (s)", exact=True).fill("12.5")
    await console.get_by_label("Memory (MiB)").fill("128")
    await console.get_by_role("button", name="Save").click()
    await expect(console.get_by_role("status").filter(has_text="Saved")).to_be_visible()
    await accessible(console)
    await shot(console, "programs-settings", whole=True)
    changed = (await api.http.get(f"/v1/programs/{program['id']}")).json()
    assert (changed["visibility"], changed["description"]) == ("public", "says two")
    assert (changed["limits"]["wall_seconds"], changed["limits"]["memory_bytes"]) == (12.5, 128 << 20)

    await console.get_by_role("button", name="Delete").click()
    await console.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(console).to_have_url(re.compile("/console/programs$"))
    assert (await api.http.get(f"/v1/programs/{program['id']}")).status_code == 404


async def test_what_users_write_is_never_markup(console: Page, api: Api) -> None:
    source = f'def run(task, userpub, params):\n    """{MARKUP}"""\n    return "</pre><script>x()</script>"\n'
    name = f"{MARKUP.replace('/', '')} {new_id()}"
    program = await api.upload(source, name=name, description=f"{MARKUP} javascript:alert(1)")
    hostile: dict[str, Any] = await api.upload(
        f'def run({"x" * 80}: int = 1, *, __proto__: int = 0) -> None:\n    """{MARKUP}"""\n', kind="template"
    )
    await console.goto("/console/programs")
    await expect(console.get_by_role("link", name=name)).to_be_visible()
    await shot(console, "programs")
    await console.get_by_role("link", name=name).click()
    await expect(console.get_by_role("heading", level=1)).to_have_text(name)
    await expect(console.get_by_text("javascript:alert(1)")).to_be_visible()
    for tab in ("Source", "Versions", "Build log", "Settings"):
        await console.get_by_role("tab", name=tab).click()
        await expect(console.get_by_role("tabpanel", name=tab)).to_be_visible()
        assert await console.locator("main img, main b, main script, main iframe").count() == 0, tab
    await console.goto(f"/console/programs/{hostile['id']}")
    await expect(console.get_by_role("button", name="Run", exact=True)).to_be_visible()
    assert await console.locator("main img, main b").count() == 0
    await narrow(console)
    assert json.dumps(program["name"]) == json.dumps(name)
