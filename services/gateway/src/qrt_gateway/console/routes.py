"""The routes of `/console`: one page for every address below it, its files, and its sessions."""

import base64
import hashlib
import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qrt_contracts.faults import NotFound
from qrt_gateway.console import session
from qrt_gateway.console.files import BASE, File, Files, load
from qrt_gateway.handlers.resource import Parts

_INLINE = re.compile(r'<script type="importmap">(.*?)</script>', re.DOTALL)
_COMMON = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
FOREVER = "public, max-age=31536000, immutable"
"""For an address that holds the digest of what it leads to."""


def routes(parts: Parts) -> list[Route]:
    """Return the routes; the page and its files are anybody's."""
    files = load()
    html = files.page()
    headers = _COMMON | {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": policy(html),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "X-Frame-Options": "DENY",
    }

    async def page(request: Request) -> Response:
        request.scope["qrt.route"] = "/console"
        return Response(html, headers=headers, media_type="text/html")

    async def file(request: Request) -> Response:
        request.scope["qrt.route"] = BASE
        return _sent(files, request)

    return [
        session.route(parts),
        Route(BASE + "/{digest}/{path:path}", file, methods=["GET"]),
        Route("/console", page, methods=["GET"]),
        Route("/console/{path:path}", page, methods=["GET"]),
    ]


def policy(html: str) -> str:
    """Return the content security policy of the page: its own files and its import map, nothing else."""
    hashes = (hashlib.sha256(text.encode()).digest() for text in _INLINE.findall(html))
    scripts = " ".join(f"'sha256-{base64.b64encode(each).decode()}'" for each in hashes)
    return (
        f"default-src 'none'; script-src 'self' {scripts}; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _sent(files: Files, request: Request) -> Response:
    path = request.path_params["path"]
    found = files.by_path.get(path)
    if found is None:
        raise NotFound(f"the console has no file {path[:200]!r}")
    # A page of another release, still open, may ask for what is now another file: not to be kept.
    fixed = request.path_params["digest"] == files.digest
    return _answer(found, request, caching=FOREVER if fixed else "no-cache")


def _answer(found: File, request: Request, *, caching: str) -> Response:
    headers = _COMMON | {"Cache-Control": caching, "Vary": "Accept-Encoding"}
    content = found.content
    if found.squeezed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        content = found.squeezed
    return Response(content, headers=headers, media_type=found.media_type)
