"""Requests made from the OpenAPI documents, right and wrong ones, against running services.

Every answer must be one that the document describes, soon, and none a failure of the server. What is asked
for is the same in each run.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from qrt_contracts.ids import new_id
from tests.support.projects import project
from tests.support.waiting import wait_until
from tests.system.client import Api
from tests.system.composition import Composition

pytestmark = [
    pytest.mark.kipu,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.parametrize("composition", ["services"], indirect=True),
]

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "ignored_auth",
)
CONFIGURATION = """
[phases.coverage]
unexpected-methods = ["PUT"]
"""
SECONDS = 600
"""A run takes half a minute where nothing else runs; what does not end is a hang."""
REQUEST_SECONDS = 30
WAIT_SECONDS = 0.2
NOBODYS = "0" * 32

HELLO = "def run(task, userpub, params):\n    print('hello')\n    return 1\n"
SERVICE = """
    from pydantic import BaseModel

    class Data(BaseModel):
        values: list[float]

    def run(data: Data, times: int = 1) -> dict:
        return {"sum": sum(data.values) * times}
"""


@pytest_asyncio.fixture(loop_scope="session")
async def fuzzer(composition: Composition, api: Api) -> AsyncIterator[Api]:
    """An administrator whose things nobody else counts."""
    wanted = {"name": f"fuzzer-{new_id()}", "admin": True}
    token = (await api.http.post("/v1/accounts", json=wanted)).json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=composition.url, headers=headers, timeout=90) as client:
        yield Api(client)


async def test_the_native_surface_answers_as_its_document_says(
    composition: Composition, fuzzer: Api, tmp_path: Path
) -> None:
    program, doomed = await fuzzer.upload(HELLO), await fuzzer.upload(HELLO)
    job, gone = await fuzzer.submit(program), await fuzzer.submit(program)
    await fuzzer.result(job)
    await fuzzer.result(gone)
    document = (await fuzzer.http.get("/openapi.json")).json()
    reached(document, "/v1/programs/{id}", [program["id"], NOBODYS], doomed["id"])
    reached(document, "/v1/jobs/{id}", [job["id"], NOBODYS], gone["id"])
    submitted = document["components"]["schemas"]["SubmitRequest"]["properties"]
    submitted["program_id"] = {"enum": [program["id"], NOBODYS, None]}
    await fuzzed(document, composition.url, fuzzer, tmp_path, examples=2)


async def test_a_service_answers_as_its_document_says(
    composition: Composition, fuzzer: Api, tmp_path: Path
) -> None:
    archive = {"archive": project(SERVICE)}
    reply = await fuzzer.http.post("/v1/programs", data={"name": "fuzzed"}, files=archive)
    assert reply.status_code == 201, reply.text
    url = f"{composition.url}/services/fuzzed"
    started = await fuzzer.http.post(url, json={"data": {"values": [1, 2]}})
    assert started.status_code == 201, started.text
    await ended(fuzzer, f"{url}/{started.json()['id']}")
    document = (await fuzzer.http.get(f"{url}/openapi.json")).json()
    for path, item in document["paths"].items():
        if "{id}" in path:
            item["parameters"][0]["schema"] = {"enum": [started.json()["id"]]}
    await fuzzed(document, url, fuzzer, tmp_path, examples=2)


def reached(document: dict[str, Any], path: str, ids: list[str], doomed: str) -> None:
    """Let requests reach what is there; only `doomed` is deleted. Nothing is waited for long."""
    for each, item in document["paths"].items():
        if not each.startswith(path):
            continue
        own = [one for one in item["parameters"] if one["name"] != "id"]
        for method in set(item) - {"parameters"}:
            operation = item[method]
            known = [doomed] if (each, method) == (path, "delete") else ids
            by_id = {"name": "id", "in": "path", "required": True, "schema": {"enum": known}}
            for parameter in operation.get("parameters", []):
                if parameter["name"] == "wait":
                    parameter["schema"]["maximum"] = WAIT_SECONDS
            operation["parameters"] = [by_id, *operation.get("parameters", [])]
        item["parameters"] = own


async def ended(api: Api, url: str) -> None:
    async def final() -> bool:
        return (await api.http.get(url)).json()["status"] not in ("PENDING", "RUNNING")

    await wait_until(final, description="the execution to end", seconds=30)


async def fuzzed(document: dict[str, Any], url: str, api: Api, directory: Path, *, examples: int) -> None:
    """Run the fuzzer; its report is the failure's message."""
    schema = directory / "openapi.json"
    schema.write_text(json.dumps(document))
    (directory / "schemathesis.toml").write_text(CONFIGURATION)
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).parent / "schemathesis"), "--no-color", "run", str(schema)),
        *("--url", url, "--header", f"Authorization: {api.http.headers['Authorization']}"),
        *("--phases", "coverage,fuzzing", "--max-examples", str(examples)),
        *("--generation-deterministic", "--no-shrink", "--workers", "1"),
        *("--request-timeout", str(REQUEST_SECONDS), "--checks", ",".join(CHECKS)),
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(SECONDS):
            report, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        pytest.fail(f"requests to {url} took longer than {SECONDS} s")
    assert process.returncode == 0, report.decode()
    assert (await api.http.get("/healthz")).status_code == 200
