"""A project of the Python template as a service, from its upload to its files."""

import json
from typing import Any

import pytest

from qrt_contracts.ids import new_id
from tests.support.projects import project
from tests.support.waiting import wait_until
from tests.system.client import FINAL, Api

pytestmark = [pytest.mark.kipu, pytest.mark.asyncio(loop_scope="session")]

PROGRAM = '''
from __future__ import annotations

import logging, os
from enum import Enum
from pathlib import Path
from typing import Any, Dict, List, Optional

from pydantic import BaseModel, Field


class Mode(str, Enum):
    FAST = "fast"
    EXACT = "exact"


class InputData(BaseModel):
    """Numbers."""

    values: List[float] = Field(description="What to add up.")


class InputParams(BaseModel):
    round_up: bool = False


class Answer(BaseModel):
    sum: float
    seen: Dict[str, Any]


async def run(
    data: InputData, params: InputParams, name: str = "", mode: Mode = Mode.FAST, count: Optional[int] = None,
    plain=None, **rest: Any
) -> Answer:
    """Add numbers up.

    And tell what was given.
    """
    print("adding", data.values)
    logging.warning("careful")
    if mode is Mode.EXACT:
        raise ValueError("not exactly")
    output = Path(os.environ["OUTPUT_DIRECTORY"])
    (output / "deep").mkdir()
    (output / "deep" / "result.txt").write_text("0123456789")
    seen = {
        "round_up": params.round_up, "name": name, "count": count, "plain": plain, "rest": rest,
        "secret": len(os.environ["SECRET_IBM_TOKEN"]) if "SECRET_IBM_TOKEN" in os.environ else None,
        "nothing": None,
    }
    return Answer(sum=sum(data.values), seen=seen)
'''


async def ended(api: Api, path: str) -> dict[str, Any]:
    """Return an execution once its status is final."""
    found: dict[str, Any] = {}

    async def final() -> bool:
        found.update((await api.http.get(path)).json())
        return found["status"] in FINAL

    await wait_until(final, description=f"the end of {path}", seconds=60)
    return found


async def test_a_project_is_a_service_from_its_upload_to_its_files(api: Api) -> None:
    name = f"adder {new_id()}"
    made = await api.http.post(
        "/v1/programs",
        data={"name": name, "description": "Adds."},
        files={"archive": ("adder.zip", project(PROGRAM, {"requirements.txt": "\n"}))},
    )
    assert made.status_code == 201, made.text
    service = f"/services/{made.json()['id']}"
    built = await api.http.get(f"/v1/programs/{made.json()['id']}/versions/1", params={"wait": 55})
    assert built.json()["build"]["state"] == "ready", built.text

    document = (await api.http.get(f"{service}/openapi.json")).json()
    schemas = document["components"]["schemas"]
    assert (document["info"]["title"], document["info"]["summary"]) == (name, "Add numbers up.")
    assert schemas["Input"]["properties"]["data"] == {"$ref": "#/components/schemas/InputData"}
    assert schemas["Input"]["required"] == ["data"]
    assert schemas["InputData"]["properties"]["values"]["description"] == "What to add up."
    assert set(schemas["Output"]["required"]) == {"sum", "seen"}
    page = await api.http.get(f"{service}/docs")
    assert "object (InputData)" in page.text

    for wrong, pointer in (
        ({"data": {"values": ["x"]}}, "/data/values/0"),
        ({"params": {}}, "/data"),
        ({"data": {"values": []}, "mode": "slow"}, "/mode"),
        ({"data": {"values": []}, "count": "zzz"}, "/count"),
    ):
        refused = await api.http.post(service, json=wrong)
        assert refused.status_code == 422, refused.text
        assert refused.json()["errors"][0]["pointer"] == pointer
    assert (await api.http.get(service)).json() == []

    given = {"data": {"values": [1, 2, 3]}, "params": {"round_up": False}, "name": "abc", "count": None}
    given |= {
        "plain": {"a": [None]},
        "other": 1,
        "$tags": ["first"],
        "$secrets": {"ibmToken": "s3cr3t-s3cr3t"},
    }
    started = await api.http.post(service, json=given)
    assert started.status_code == 201, started.text
    path = started.headers["location"]
    execution = await ended(api, path)
    assert (execution["status"], execution["tags"]) == ("SUCCEEDED", ["first"])
    result = (await api.http.get(f"{path}/result")).json()
    assert (result["sum"], result["_embedded"]["status"]) == (6, execution)
    assert result["seen"] == {
        "round_up": False,
        "name": "abc",
        "count": None,
        "plain": {"a": [None]},
        "rest": {"other": 1},
        "secret": 13,
        "nothing": None,
    }
    assert set(result["_links"]) == {"self", "status", "output.json", "deep/result.txt"}
    link = result["_links"]["deep/result.txt"]["href"]
    part = await api.http.get(link, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")
    written = json.loads((await api.http.get(result["_links"]["output.json"]["href"])).content)
    assert written == {"sum": 6.0, "seen": result["seen"]}
    log = (await api.http.get(f"{path}/log")).json()
    assert [(each["message"], each["severity"]) for each in log] == [
        ("adding [1.0, 2.0, 3.0]", "INFO"),
        ("WARNING:root:careful", "WARNING"),
    ]

    failing = await api.http.post(service, json={"data": {"values": []}, "mode": "exact"})
    path = failing.headers["location"]
    assert (await ended(api, path))["status"] == "FAILED"
    why = (await api.http.get(f"{path}/result")).json()
    assert (why["title"], why["detail"], why["code"]) == ("ValueError", "not exactly", "ProgramError")
    assert set(why["_links"]) == {"self", "status", "output.json"}
