"""The page about one service, for people: its document as HTML that asks nobody for anything."""

import base64
import hashlib
import json
import shlex
from html import escape
from typing import Any

from qrt_gateway.kipu.samples import Samples, properties_of, required_of

Json = dict[str, Any]

_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 small { font-weight: normal; opacity: .7 }
pre { overflow: auto; padding: .75rem; border: 1px solid #8886; border-radius: .4rem; font-size: 14px }
p.about { white-space: pre-line }
summary { cursor: pointer; padding: .3rem 0 }
code b { display: inline-block; min-width: 3.5rem }
td, th { text-align: left; vertical-align: top; padding: .15rem .75rem .15rem 0 }
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""What goes with the page: it holds what a program's author wrote, and none of it is to be run."""


def page(document: Json) -> str:
    """Return the HTML of a service's document."""
    info, schemas = document["info"], document["components"]["schemas"]
    endpoint = document["servers"][0]["url"]
    title = escape(info["title"])
    samples = Samples(document)
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{_STYLE}</style>
<h1>{title} <small>version {escape(info["version"])}</small></h1>
<p><strong>{escape(info.get("summary", ""))}</strong></p>
<p class="about">{escape(info["description"])}</p>
<p>Endpoint: <code>{escape(endpoint)}</code> &middot;
<a href="{escape(endpoint)}/openapi.json">openapi.json</a></p>
<h2>Input</h2>
{_members(schemas["Input"], samples)}
{_schema("Schema", schemas["Input"])}
<h2>Output</h2>
{_output(schemas, samples)}
<h2>Start an execution</h2>
<pre>{escape(_curl(endpoint, samples.of_input()))}</pre>
<p>The answer is <code>201</code> with the execution; <code>GET</code> the address in its header
<code>Location</code> until the status is final, then <code>/result</code> below it. Published clients do
all that: give them the endpoint above and <code>{escape(_token_url(document))}</code>.</p>
<pre>{escape(_python(document, samples.of_input()))}</pre>
<p>A token is an API token, or one that <code>{escape(_token_url(document))}</code> gives to an OAuth2
client for its id and secret (grant type <code>client_credentials</code>).</p>
<h2>Routes</h2>
{"".join(_route(path, item) for path, item in document["paths"].items())}
<h2>Shapes</h2>
{"".join(_schema(name, each) for name, each in schemas.items() if name not in ("Input", "Output"))}
</html>
"""


def _curl(endpoint: str, value: Json) -> str:
    text = shlex.quote(json.dumps(value, ensure_ascii=False))
    return (
        'curl -i -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\\n'
        f"     -d {text} \\\n     {shlex.quote(endpoint)}"
    )


def _python(document: Json, value: Json) -> str:
    endpoint, token_url = document["servers"][0]["url"], _token_url(document)
    return (
        "from qhub.service.client import HubServiceClient\n\n"
        f'client = HubServiceClient(\n    "{endpoint}",\n    key_id, key_secret, "{token_url}",\n)\n'
        f"execution = client.run({value!r})\n"
        "print(execution.result().data())"
    )


def _output(schemas: Json, samples: Samples) -> str:
    if "Output" not in schemas:
        return "<p>The program does not say what it returns.</p>"
    output = schemas["Output"]
    return _members(output, samples) + _schema("Schema", output)


def _members(schema: Json, samples: Samples) -> str:
    """Return a table of an object's properties."""
    required = required_of(schema)
    rows = "".join(
        _member(name, each, samples, required=name in required)
        for name, each in properties_of(schema).items()
    )
    return f"<table>{rows}</table>" if rows else "<p>Any JSON object.</p>"


def _member(name: str, schema: Any, samples: Samples, *, required: bool) -> str:
    found = samples.resolved(schema)
    own = schema if isinstance(schema, dict) else {}
    said = own.get("description") or found.get("description") or ""
    need = "required" if required else "optional"
    if "default" in own:
        need = f"default {json.dumps(own['default'], ensure_ascii=False)[:100]}"
    return (
        f"<tr><th><code>{escape(name)}</code></th><td>{escape(samples.type_of(schema))}</td>"
        f"<td>{escape(need)}</td><td>{escape(str(said))}</td></tr>\n"
    )


def _token_url(document: Json) -> str:
    flows = document["components"]["securitySchemes"]["oauth2"]["flows"]
    url: str = flows["clientCredentials"]["tokenUrl"]
    return url


def _route(path: str, item: Json) -> str:
    return "".join(
        f"<details><summary><code><b>{method.upper()}</b> {escape(path)}</code> "
        f"{escape(operation['summary'])}</summary><table>{_answers(operation)}</table></details>\n"
        for method, operation in item.items()
        if method != "parameters"
    )


def _answers(operation: Json) -> str:
    parameters = "".join(
        f"<tr><th>?{escape(each['name'])}</th><td>{escape(each['description'])}</td></tr>"
        for each in operation.get("parameters", ())
    )
    return parameters + "".join(
        f"<tr><th>{status}</th><td>{escape(answer['description'])}</td></tr>"
        for status, answer in operation["responses"].items()
    )


def _schema(name: str, schema: Json) -> str:
    text = escape(json.dumps(schema, indent=2, ensure_ascii=False))
    return f"<details><summary>{escape(name)}</summary><pre>{text}</pre></details>\n"
