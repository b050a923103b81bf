"""A registry of images for tests: one image, on a port of the loopback interface, which engines trust."""

import gzip
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


@dataclass
class Registry:
    """Serves one name; `publish` lets its tag stand for another image."""

    address: str = ""
    _blobs: dict[str, bytes] = field(default_factory=dict)
    _manifests: dict[str, bytes] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the image is called there, with its tag."""
        return f"{self.address}/team/image:1"

    def publish(self, base: bytes, command: list[str]) -> str:
        """Let the tag stand for an image of this file system and command; return its digest."""
        rootfs = {"type": "layers", "diff_ids": [_digest(base)]}
        config = _json({"architecture": "amd64", "os": "linux", "config": {"Cmd": command}, "rootfs": rootfs})
        layer = gzip.compress(base, compresslevel=1, mtime=0)
        manifest = _json(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": self._blob(config, _CONFIG),
                "layers": [self._blob(layer, _LAYER)],
            }
        )
        self._manifests["1"] = self._manifests[_digest(manifest)] = manifest
        return _digest(manifest)

    def _blob(self, data: bytes, kind: str) -> dict[str, object]:
        self._blobs[_digest(data)] = data
        return {"mediaType": kind, "size": len(data), "digest": _digest(data)}

    async def manifest(self, request: web.Request) -> web.Response:
        """Answer GET and HEAD."""
        found = self._manifests.get(request.match_info["reference"])
        if found is None:
            raise web.HTTPNotFound
        headers = {"Docker-Content-Digest": _digest(found)}
        return web.Response(body=found, content_type=_MANIFEST, headers=headers)

    async def blob(self, request: web.Request) -> web.Response:
        """Answer GET."""
        return web.Response(body=self._blobs[request.match_info["digest"]])


async def _version(request: web.Request) -> web.Response:
    return web.json_response({})


@asynccontextmanager
async def registry() -> AsyncIterator[Registry]:
    """Serve one."""
    served = Registry()
    app = web.Application()
    app.router.add_get("/v2/", _version)
    app.router.add_get("/v2/team/image/manifests/{reference}", served.manifest)
    app.router.add_get("/v2/team/image/blobs/{digest}", served.blob)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        served.address = f"127.0.0.1:{runner.addresses[0][1]}"
        yield served
    finally:
        await runner.cleanup()
