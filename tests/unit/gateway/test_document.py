"""The native surface's document: every route is in it, and what it says is so."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from starlette.routing import Route, WebSocketRoute

from qrt_contracts.api import StateFrame
from qrt_contracts.states import JobState
from tests.unit.gateway.test_jobs import submit
from tests.unit.gateway.test_programs import upload
from tests.unit.gateway.world import World

pytestmark = pytest.mark.kipu

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture
async def document(gateway: World) -> dict[str, Any]:
    async with gateway.client(None) as anybody:
        reply = await anybody.get("/openapi.json")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
    found: dict[str, Any] = reply.json()
    return found


def test_every_native_route_and_method_is_described(document: dict[str, Any], gateway: World) -> None:
    served = set()
    for route in native(gateway):
        path = re.sub(r"{(\w+):\w+}", r"{\1}", route.path)
        served |= {(path, method.lower()) for method in (route.methods or set()) - {"HEAD"}}
    described = {
        (path, method)
        for path, item in document["paths"].items()
        for method in item
        if method != "parameters"
    }
    assert served == described
    assert len(served) > 30


def native(gateway: World) -> list[Route]:
    inner: Any = gateway.app
    while not hasattr(inner, "router"):
        inner = inner._app
    return [each for each in inner.routes if isinstance(each, Route) and each.path.startswith("/v1/")]


def test_every_operation_says_what_it_takes_gives_and_refuses(document: dict[str, Any]) -> None:
    operations = [
        (path, method, each)
        for path, item in document["paths"].items()
        for method, each in item.items()
        if method != "parameters"
    ]
    identities = [each["operationId"] for _, _, each in operations]
    assert len(set(identities)) == len(identities)
    for path, method, each in operations:
        assert each["summary"], path
        assert {"401", "429", "503"} <= each["responses"].keys()
        assert ("404" in each["responses"]) >= ("{" in path)
        assert ("requestBody" in each) <= (method in ("post", "put", "patch"))
        parameters = document["paths"][path]["parameters"]
        assert [parameter["name"] for parameter in parameters] == re.findall(r"{(\w+)}", path)


def test_every_reference_leads_somewhere_and_every_schema_is_one(document: dict[str, Any]) -> None:
    def references(value: Any) -> Any:
        if isinstance(value, dict):
            yield from (each for key, each in value.items() if key == "$ref")
            for each in value.values():
                yield from references(each)
        elif isinstance(value, list):
            for each in value:
                yield from references(each)

    for reference in references(document):
        found = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema)


async def test_answers_are_of_their_schemas(document: dict[str, Any], gateway: World) -> None:
    program = await upload(gateway)
    job = (await submit(gateway, {"program_id": program["id"]})).json()
    paths = {
        "/v1/programs": "/v1/programs",
        "/v1/programs/{id}": f"/v1/programs/{program['id']}",
        "/v1/programs/{id}/versions": f"/v1/programs/{program['id']}/versions",
        "/v1/programs/{id}/versions/{number}": f"/v1/programs/{program['id']}/versions/latest",
        "/v1/programs/{id}/versions/{number}/build": f"/v1/programs/{program['id']}/versions/1/build",
        "/v1/jobs": "/v1/jobs",
        "/v1/jobs/{id}": f"/v1/jobs/{job['id']}",
        "/v1/jobs/{id}/result": f"/v1/jobs/{job['id']}/result",
        "/v1/jobs/{id}/input": f"/v1/jobs/{job['id']}/input",
        "/v1/account": "/v1/account",
        "/v1/tokens": "/v1/tokens",
    }
    for path, url in paths.items():
        reply = await gateway.http.get(url)
        assert reply.status_code == 200, url
        content = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
        validated(document, content["schema"], reply.json())
    problem = await gateway.http.get("/v1/jobs/none")
    validated(document, {"$ref": "#/components/schemas/ProblemDocument"}, problem.json())


def validated(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    whole = {**schema, "components": document["components"]}
    jsonschema_rs.Draft202012Validator(whole).validate(value)


async def test_the_page_shows_every_route_and_runs_nothing(gateway: World, document: dict[str, Any]) -> None:
    reply = await gateway.http.get("/docs")
    assert reply.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert all(path in reply.text for path in document["paths"])
    assert "<script" not in reply.text


@pytest.fixture
async def sockets(gateway: World) -> dict[str, Any]:
    async with gateway.client(None) as anybody:
        reply = await anybody.get("/asyncapi.json")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
    found: dict[str, Any] = reply.json()
    return found


def test_the_websockets_document_is_valid_asyncapi(sockets: dict[str, Any]) -> None:
    schema = json.loads((DATA / "asyncapi" / "3.0.0.json").read_text())
    errors = [f"{each.instance_path}: {each.message}" for each in jsonschema_rs.iter_errors(schema, sockets)]
    assert errors == []
    assert sockets["asyncapi"] == "3.0.0"


def test_every_websocket_and_every_frame_is_described(sockets: dict[str, Any], gateway: World) -> None:
    inner: Any = gateway.app
    while not hasattr(inner, "router"):
        inner = inner._app
    served = {
        each.path
        for each in inner.routes
        if isinstance(each, WebSocketRoute) and each.path.startswith("/v1/")
    }
    assert {each["address"] for each in sockets["channels"].values()} == served
    assert sockets["components"]["messages"].keys() == {
        *("state", "attempt", "outputs", "end", "error", "subscribed", "unsubscribed"),
        *("subscribe", "unsubscribe"),
    }


def test_frames_are_what_the_websockets_document_says(sockets: dict[str, Any]) -> None:
    frame = StateFrame(job_id="0" * 32, status=JobState.RUNNING, attempt=1)
    payload = sockets["components"]["messages"]["state"]["payload"]
    validator = jsonschema_rs.validator_for({**payload, "components": sockets["components"]})
    assert validator.is_valid(json.loads(frame.model_dump_json()))
    assert not validator.is_valid({"type": "state", "status": "LOST"})


async def test_the_page_shows_both_documents_and_asks_nobody_for_anything(
    gateway: World, document: dict[str, Any]
) -> None:
    async with gateway.client(None) as anybody:
        reply = await anybody.get("/docs")
    assert "unsafe" not in reply.headers["content-security-policy"]
    assert "<script" not in reply.text
    assert not re.findall(r"""(?:src|href)=(?!"(?:#|/[a-z]))""", reply.text)
    for path in (*document["paths"], "/v1/stream", "/v1/jobs/{id}/stream"):
        assert f"<code>{path}</code>" in reply.text
    wanted = set(re.findall(r'href="#([^"]+)"', reply.text))
    assert wanted <= set(re.findall(r'id="([^"]+)"', reply.text))
