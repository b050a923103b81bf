"""Webhooks of a running system: real jobs, a real receiver, a signature that a stranger can check."""

import asyncio

import pytest

from quafu_runtime import verify_webhook
from tests.support.receiving import receiving
from tests.support.waiting import wait_until
from tests.system.client import Api

pytestmark = pytest.mark.asyncio(loop_scope="session")

FAILING = "def run(task, userpub, params):\n    raise ValueError('no')\n"


async def test_the_end_of_a_job_is_told_to_its_owners_receiver(api: Api) -> None:
    async with receiving() as server:
        reply = await api.http.post("/v1/webhooks", json={"url": server.url, "events": ["job.failed"]})
        assert reply.status_code == 201, reply.text
        made = reply.json()
        try:
            failed = await api.submit(await api.upload(FAILING))
            await api.result(failed)
            await wait_until(lambda: bool(server.got), description="the news", seconds=30)
            told = verify_webhook(made["secret"], server.got[0].headers, server.got[0].body)
        finally:
            async with asyncio.timeout(30):
                assert (await api.http.delete(f"/v1/webhooks/{made['id']}")).status_code == 204
    assert told["type"] == "job.failed"
    assert (told["data"]["job"]["id"], told["data"]["job"]["problem"]["code"]) == (
        failed["id"],
        "ProgramError",
    )
    assert told["data"]["links"]["job"].endswith(f"/v1/jobs/{failed['id']}")
