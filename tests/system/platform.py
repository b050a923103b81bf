"""Projects as their users upload them, and their services as they call them: no client library in between."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from qrt_contracts.ids import new_id
from tests.support.projects import project


@dataclass
class Execution:
    """A service execution that has ended."""

    service: "Service"
    id: str
    status: str
    result: dict[str, Any]

    @property
    def data(self) -> dict[str, Any]:
        """Return what the program says, without what the platform adds."""
        return {name: value for name, value in self.result.items() if name not in ("_embedded", "_links")}

    @property
    def files(self) -> list[str]:
        return [name for name in self.result["_links"] if name not in ("self", "status")]

    async def file(self, name: str, **headers: str) -> httpx.Response:
        return await self.service.http.get(f"{self.service.url}/{self.id}/result/{name}", headers=headers)

    async def job(self) -> dict[str, Any]:
        """Return the same as the native surface shows it."""
        reply = await self.service.http.get(f"/v1/jobs/{self.id.replace('-', '')}")
        job: dict[str, Any] = reply.json()
        return job

    async def isolation(self) -> str:
        return str((await self.job())["isolation"])

    async def log(self) -> list[str]:
        entries = (await self.service.http.get(f"{self.service.url}/{self.id}/log")).json()
        return [entry["message"] for entry in entries]


@dataclass
class Service:
    """A project that was uploaded, as its Service API shows it."""

    http: httpx.AsyncClient
    program: dict[str, Any]
    url: str

    async def start(self, given: Any) -> httpx.Response:
        return await self.http.post(self.url, json=given)

    async def run(self, given: Any = None) -> Execution:
        """Start an execution and return it once it has ended."""
        started = await self.start({} if given is None else given)
        assert started.status_code == 201, started.text
        found = started.json()["id"]
        while True:
            # The native surface shows the same job, and lets its reader wait.
            waited = await self.http.get(f"/v1/jobs/{found.replace('-', '')}/result", params={"wait": 30})
            if waited.json()["status"] in ("SUCCEEDED", "FAILED", "CANCELLED"):
                break
        status = (await self.http.get(f"{self.url}/{found}")).json()["status"]
        result = await self.http.get(f"{self.url}/{found}/result")
        assert result.status_code == 200, result.text
        return Execution(self, found, status, result.json())


@dataclass
class Platform:
    """Where projects are uploaded."""

    http: httpx.AsyncClient
    base: str

    async def upload(self, archive: bytes, **fields: str) -> httpx.Response:
        return await self.http.post("/v1/programs", data=fields, files={"archive": ("p.zip", archive)})

    async def service(self, program: str, files: Mapping[str, str] | None = None) -> Service:
        """Upload a project and return its service once it is built."""
        reply = await self.upload(project(program, files), name=f"service-{new_id()}")
        assert reply.status_code == 201, reply.text
        found = reply.json()
        built = await self.built(found)
        assert built["state"] == "ready", built
        return Service(self.http, found, f"{self.base}/services/{found['name']}")

    async def built(self, program: dict[str, Any], version: str = "latest") -> dict[str, Any]:
        """Return how the build of a version has ended."""
        while True:
            reply = await self.http.get(
                f"/v1/programs/{program['id']}/versions/{version}", params={"wait": 30}
            )
            build: dict[str, Any] = reply.json()["build"]
            if build["state"] != "building":
                return build
