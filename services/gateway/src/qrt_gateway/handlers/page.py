"""`/openapi.json` and `/docs`: the document, and the same as a page that asks nobody for anything."""

import base64
import hashlib
import json
from collections.abc import Iterable
from html import escape

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from qrt_gateway.handlers.document import JSON, Json, openapi

_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem }
pre { overflow: auto; padding: .75rem; border: 1px solid #8886; border-radius: .4rem; font-size: 14px }
summary { cursor: pointer; padding: .2rem 0 }
code b { display: inline-block; min-width: 4.5rem }
td, th { text-align: left; vertical-align: top; padding: .15rem .75rem .15rem 0 }
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def routes(described: Iterable[BaseRoute]) -> list[Route]:
    """Return the routes of the document of some routes; anybody may read it."""
    document = openapi(described)
    text, html = orjson.dumps(document), page(document)

    async def as_json(_: Request) -> Response:
        return Response(text, media_type=JSON)

    async def as_page(_: Request) -> Response:
        return Response(html, headers=_HEADERS, media_type="text/html")

    return [Route("/openapi.json", as_json, methods=["GET"]), Route("/docs", as_page, methods=["GET"])]


def page(document: Json) -> str:
    """Return a document as HTML."""
    info = document["info"]
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(info["title"])}</title>
<style>{_STYLE}</style>
<h1>{escape(info["title"])}</h1>
<p>{escape(info["description"])}</p>
<p>For programs: <a href="/openapi.json">openapi.json</a>. Each request carries a token:</p>
<pre>curl -H "Authorization: Bearer $TOKEN" $ADDRESS/v1/programs</pre>
<h2>Routes</h2>
{"".join(_path(path, item) for path, item in document["paths"].items())}
<h2>Shapes</h2>
{"".join(_schema(name, each) for name, each in sorted(document["components"]["schemas"].items()))}
</html>
"""


def _path(path: str, item: Json) -> str:
    return "".join(
        f"<details><summary><code><b>{method.upper()}</b> {escape(path)}</code> "
        f"{escape(operation['summary'])}</summary><table>{_rows(operation)}</table></details>\n"
        for method, operation in item.items()
        if method != "parameters"
    )


def _rows(operation: Json) -> str:
    rows = [(f"{each['in']} {each['name']}", each["schema"]) for each in operation.get("parameters", ())]
    bodies = operation.get("requestBody", {}).get("content", {}).items()
    rows += [(f"body {kind}", each["schema"]) for kind, each in bodies]
    answers = operation["responses"].items()
    rows += [(status, each.get("content", each.get("description", each))) for status, each in answers]
    return "".join(
        f"<tr><th>{escape(what)}</th><td><code>{escape(_shown(how))}</code></td></tr>" for what, how in rows
    )


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value).replace("#/components/", "")


def _schema(name: str, schema: Json) -> str:
    text = escape(json.dumps(schema, indent=2))
    return f"<details><summary><code>{escape(name)}</code></summary><pre>{text}</pre></details>\n"
