"""The OpenAPI and AsyncAPI documents as one HTML page: no script, no address of anybody else."""

import json
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

Json = dict[str, Any]

STYLE = Path(__file__).with_name("docs.css").read_text()

_METHODS = ("get", "post", "put", "patch", "delete")
_BOUNDS = {
    "minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<",
    "minLength": "characters ≥", "maxLength": "characters ≤", "minItems": "items ≥", "maxItems": "items ≤",
}  # fmt: skip


def page(http: Json, sockets: Json) -> str:
    """Return the documents of the HTTP routes and of the WebSockets as HTML."""
    schemas = sockets["components"]["schemas"] | http["components"]["schemas"]
    tags = sorted({each["tags"][0] for _, _, each in _operations(http)})
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API of the {escape(http["info"]["title"].lower())}</title>
<style>{STYLE}</style>
</head>
<body><div class="whole">
<nav aria-label="Contents">
<ul>{"".join(f'<li><a href="#{escape(tag)}">{escape(tag)}</a></li>' for tag in tags)}</ul>
<ul><li><a href="#streams">WebSockets</a></li><li><a href="#shapes">Shapes</a></li>
<li><a href="/console">Console</a></li></ul>
</nav>
<main>
<h1>{escape(http["info"]["title"])}</h1>
<p>{_words(http["info"]["description"])}</p>
<p>For programs: <a href="/openapi.json">openapi.json</a> (OpenAPI {escape(http["openapi"])}) and
<a href="/asyncapi.json">asyncapi.json</a> (AsyncAPI {escape(sockets["asyncapi"])}).
Each request carries a token:</p>
<pre tabindex="0">curl -H "Authorization: Bearer $TOKEN" $ADDRESS/v1/programs</pre>
{"".join(_tag(tag, http) for tag in tags)}
<h2 id="streams">WebSockets</h2>
<p>{_words(sockets["info"]["description"])}</p>
{"".join(_channel(each, sockets) for each in sockets["channels"].values())}
<h3>Frames</h3>
{"".join(_message(each) for each in sockets["components"]["messages"].values())}
<h2 id="shapes">Shapes</h2>
{"".join(_schema(name, each) for name, each in sorted(schemas.items()))}
</main>
</div></body>
</html>
"""


def _operations(http: Json) -> Iterable[tuple[str, str, Json]]:
    for path, item in http["paths"].items():
        for method in _METHODS:
            if method in item:
                yield path, method, item[method] | {"shared": item.get("parameters", [])}


def _tag(tag: str, http: Json) -> str:
    found = (each for each in _operations(http) if each[2]["tags"][0] == tag)
    whole = "".join(_operation(*each, refusals=http["components"]["responses"]) for each in found)
    return f'<h2 id="{escape(tag)}">{escape(tag)}</h2>\n{whole}'


def _operation(path: str, method: str, operation: Json, *, refusals: Json) -> str:
    rows = [
        (
            f"{each['name']} <span class=soft>{each['in']}</span>",
            _type(each["schema"]),
            each.get("description", ""),
        )
        for each in (*operation["shared"], *operation.get("parameters", ()))
    ]
    bodies = operation.get("requestBody", {}).get("content", {}).items()
    rows += [
        ("body", f"{_type(each['schema'])} <span class=soft>{escape(kind)}</span>", "")
        for kind, each in bodies
    ]
    needs = [scope for each in operation.get("security", ()) for scopes in each.values() for scope in scopes]
    rows += [("scope", escape(", ".join(needs)), "what the token must be for")] if needs else []
    rows += [_answer(status, each, refusals) for status, each in operation["responses"].items()]
    return _folded(
        f'<code class="method {method}">{method.upper()}</code> <code>{escape(path)}</code>',
        operation["summary"],
        f'<table id="{escape(operation["operationId"])}">{_rows(rows)}</table>',
    )


def _parameter(parameter: Json) -> tuple[str, str, str]:
    name, where = parameter["name"], parameter["in"]
    return f"{escape(name)} {_soft(where)}", _type(parameter["schema"]), parameter.get("description", "")


def _answer(status: str, answer: Json, refusals: Json) -> tuple[str, str, str]:
    if "$ref" in answer:
        answer = refusals[status]
    content = answer.get("content", {}).items()
    types = (_type(each["schema"]) if "schema" in each else escape(kind) for kind, each in content)
    return status, ", ".join(types), answer["description"]


def _channel(channel: Json, sockets: Json) -> str:
    query = channel["bindings"]["ws"].get("query", {}).get("properties", {})
    rows = [(f"{escape(name)} {_soft('query')}", _type(each), "") for name, each in query.items()]
    reference = next(f"#/channels/{name}" for name, each in sockets["channels"].items() if each is channel)
    for each in sockets["operations"].values():
        if each["channel"]["$ref"] == reference:
            names = (message["$ref"].rpartition("/")[2] for message in each["messages"])
            said = ", ".join(f'<a href="#frame-{escape(name)}">{escape(name)}</a>' for name in names)
            who = "from the gateway" if each["action"] == "send" else "from the client"
            rows.append((who, said, each["summary"]))
    return _folded(
        f'<code class="method send">WS</code> <code>{escape(channel["address"])}</code>',
        channel["summary"],
        f"<table>{_rows(rows)}</table>",
    )


def _message(message: Json) -> str:
    body = f'<p id="frame-{escape(message["name"])}">{_type(message["payload"])}</p>'
    return _folded(f"<code>{escape(message['name'])}</code>", message["summary"], body)


def _schema(name: str, schema: Json) -> str:
    needed = schema.get("required", ())
    rows = [_property(key, each, needed=key in needed) for key, each in schema.get("properties", {}).items()]
    body = f"<table>{_rows(rows)}</table>" if rows else f"<p>{_type(schema)}</p>"
    about = _words(schema.get("description", ""))
    return _folded(
        f"<code>{escape(name)}</code>", "", f'<div id="shape-{escape(name)}"><p>{about}</p>{body}</div>'
    )


def _property(name: str, schema: Json, *, needed: bool) -> tuple[str, str, str]:
    mark = " <span class=needed>required</span>" if needed else ""
    default = f" {_soft('= ' + json.dumps(schema['default']))}" if "default" in schema else ""
    return f"{escape(name)}{mark}", _type(schema) + default, schema.get("description", "")


def _type(schema: Json) -> str:
    """Return what values have a schema, as HTML."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#shape-{name}">{name}</a>'
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return " or ".join(_type(each) for each in schema[key])
    if "const" in schema or "enum" in schema:
        values = schema["enum"] if "enum" in schema else [schema["const"]]
        return " | ".join(f"<code>{escape(json.dumps(each))}</code>" for each in values)
    kind = schema.get("type", "any")
    said = escape(kind if isinstance(kind, str) else " or ".join(kind))
    if kind == "array":
        said += f" of {_type(schema.get('items', {}))}"
    elif isinstance(schema.get("additionalProperties"), dict):
        said += f" of {_type(schema['additionalProperties'])}"
    more = [schema[key] for key in ("format", "pattern") if key in schema]
    more += [f"{sign} {schema[key]}" for key, sign in _BOUNDS.items() if key in schema]
    return said + "".join(f" {_soft(str(each))}" for each in more)


def _rows(rows: Iterable[tuple[str, str, str]]) -> str:
    return "".join(
        f"<tr><th scope=row><code>{what}</code></th><td>{how}</td><td class=soft>{_words(about)}</td></tr>"
        for what, how, about in rows
    )


def _folded(head: str, said: str, inside: str) -> str:
    about = f"<span>{_words(said)}</span>" if said else ""
    return f"<details><summary>{head} {about}</summary><div class=inside>{inside}</div></details>\n"


def _soft(text: str) -> str:
    return f"<span class=soft>{escape(text)}</span>"


def _words(text: str) -> str:
    """Return a text with its code marked as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if at % 2 else part for at, part in enumerate(parts))
