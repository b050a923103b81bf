"""The native surface as an OpenAPI 3.1 document, made of what serves it.

Paths and methods are those of the routes; shapes are the pydantic models that read the requests and
write the answers. Nothing is said twice.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from starlette.routing import BaseRoute

from qrt_contracts.api import ProblemDocument
from qrt_gateway.handlers.described import Answer, Described, Header, Media, Operation
from qrt_gateway.handlers.resource import Resource
from qrt_gateway.handlers.uploads import ARCHIVE, FORM

Json = dict[str, Any]

JSON, PROBLEM = "application/json", "application/problem+json"
TITLE = "Hybrid quantum-classical runtime"
ABOUT = """Programs are uploaded, run as jobs, watched while they run, and leave results and files.

Beside what is described here, `WS /v1/jobs/{id}/stream?after=&attempt=` and `WS /v1/stream` send frames as
JSON texts: `/asyncapi.json` describes them. `/services/{program}/` is the Service API, each service with a
document of its own at `/services/{program}/openapi.json`, and `/runtime/` serves Quafu clients."""

BEARER = "A token; what follows its name at an operation are the scopes it needs there."

REFUSALS = {
    400: "The body cannot be read: it is no JSON, or no such form.",
    401: "There is no token, or it is not valid.",
    403: "The caller may not do this.",
    404: "There is no such thing, or it is not the caller's to see.",
    408: "The body did not arrive in time.",
    409: "The present state of things does not allow it.",
    413: "The body, or a part of it, is too large.",
    415: "The body is of a kind that is not read here.",
    416: "There are no such bytes.",
    422: "A field is wrong; `errors` points at each.",
    429: "Too much at once; `Retry-After` says when to come again.",
    503: "A part of the runtime did not answer; the same request can succeed later.",
}
_ALWAYS = (401, 429, 503)
_WITH_BODY = (400, 408, 413, 415, 422)
_PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")

_PATH_PARAMETERS: Mapping[str, tuple[str, Json]] = {
    "id": ("32 hexadecimal digits; dashes are taken too.", {"pattern": "^[0-9a-f]{32}$"}),
    "number": ("Of a version, or `latest`.", {"pattern": "^([1-9][0-9]{0,7}|latest)$"}),
    "name": ("As it is listed.", {"minLength": 1}),
    "account": ("The name of an account.", {"minLength": 1}),
    "queue": ("Of dead letters, as it is listed.", {"minLength": 1}),
    "delivery": ("Of a delivery.", {"pattern": "^[0-9a-f]{32}$"}),
    "cloud": ("Such as `quafu`.", {"minLength": 1}),
}


def openapi(routes: Iterable[BaseRoute]) -> Json:
    """Return the document of the native routes among those given.

    Raises:
        TypeError: an endpoint is not described.
    """
    operations = list(_operations(routes))
    shapes = _Shapes([each for _, _, each in operations])
    paths: Json = {}
    for path, method, operation in operations:
        shown = _PARAMETER.sub(r"{\1}", path)
        item = paths.setdefault(shown, {"parameters": [_in_path(name) for name in _PARAMETER.findall(path)]})
        item[method.lower()] = _operation(shown, method, operation, shapes)
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": "1", "description": ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": shapes.schemas,
            "responses": {str(status): _problem(status, shapes) for status in REFUSALS},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "description": BEARER}},
        },
    }


class _Shapes:
    """The schemas of all that is read and written."""

    def __init__(self, operations: list[Operation]) -> None:
        wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(ProblemDocument, "validation"): None}
        for each in operations:
            for model in (each.body, each.form, each.query):
                if model is not None:
                    wanted[model, "validation"] = None
            for answer in each.answers.values():
                if isinstance(answer, type):
                    wanted[answer, "serialization"] = None
        self._references, whole = models_json_schema(
            list(wanted), ref_template="#/components/schemas/{model}"
        )
        queries = {self._name(each.query) for each in operations if each.query is not None}
        self._all: Json = whole["$defs"]
        self.schemas: Json = {name: each for name, each in self._all.items() if name not in queries}

    def read(self, model: type[BaseModel]) -> Json:
        """Return the reference to a shape that is read."""
        return self._references[model, "validation"]

    def written(self, model: type[BaseModel]) -> Json:
        """Return the reference to a shape that is written."""
        return self._references[model, "serialization"]

    def whole(self, model: type[BaseModel]) -> Json:
        """Return the schema itself of a shape that is read."""
        schema: Json = self._all[self._name(model)]
        return schema

    def _name(self, model: type[BaseModel]) -> str:
        reference: str = self._references[model, "validation"]["$ref"]
        return reference.rpartition("/")[2]


def _operations(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, str, Operation]]:
    for route in routes:
        if not isinstance(route, Resource):
            continue
        for method, endpoint in route.endpoints.items():
            if not isinstance(endpoint, Described):
                raise TypeError(f"{method} {route.path} is not described")
            yield route.path, method, endpoint.operation


def _operation(path: str, method: str, operation: Operation, shapes: _Shapes) -> Json:
    parameters = [_in_header(each) for each in operation.headers]
    if operation.query is not None:
        parameters = [*_in_query(shapes.whole(operation.query)), *parameters]
    found: Json = {
        "operationId": _operation_id(path, method),
        "tags": [path.split("/")[2]],
        "summary": operation.summary,
        "responses": _responses(path, method, operation, shapes),
        "security": [{"bearer": [each.value for each in operation.needs(method)]}],
    }
    if parameters:
        found["parameters"] = parameters
    if operation.body is not None:
        found["requestBody"] = {"required": True, "content": _body(operation, shapes)}
    return found


def _operation_id(path: str, method: str) -> str:
    words = [each.strip("{}") for each in path.split("/")[2:]]
    return "-".join([method.lower(), *words])


def _responses(path: str, method: str, operation: Operation, shapes: _Shapes) -> Json:
    refused = {*_ALWAYS, *operation.refuses}
    refused |= {403} if operation.needs(method) else set()
    refused |= {404} if "{" in path else set()
    refused |= {422} if operation.query is not None or operation.headers else set()
    refused |= set(_WITH_BODY) if operation.body is not None else set()
    answers: Json = {
        str(status): _answer(answer, shapes, status) for status, answer in operation.answers.items()
    }
    return answers | {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(refused)}


def _answer(answer: Answer, shapes: _Shapes, status: int) -> Json:
    if isinstance(answer, str):
        return {"description": answer}
    if isinstance(answer, Media):
        types = (each.partition(";")[0] for each in answer.types)
        return {"description": answer.description, "content": {each: {} for each in types}}
    words = (answer.__doc__ or "").strip().partition("\n")[0]
    found: Json = {"description": words, "content": {JSON: {"schema": shapes.written(answer)}}}
    if status == 201:
        found["headers"] = {"Location": {"schema": {"type": "string"}, "description": "Where it is."}}
    return found


def _body(operation: Operation, shapes: _Shapes) -> Json:
    content: Json = {}
    if operation.body is not None:
        content[JSON] = {"schema": shapes.read(operation.body)}
    if operation.form is not None:
        archive = {"type": "string", "format": "binary", "description": "The project's zip, tar or tar.gz."}
        form = shapes.whole(operation.form)
        properties = {ARCHIVE: archive, **form.get("properties", {})}
        content[FORM] = {"schema": {**form, "properties": properties, "required": [ARCHIVE]}}
    return content


def _problem(status: int, shapes: _Shapes) -> Json:
    found: Json = {
        "description": REFUSALS[status],
        "content": {PROBLEM: {"schema": shapes.read(ProblemDocument)}},
    }
    if status in (429, 503):
        words = "Seconds until it is worth to try again."
        found["headers"] = {"Retry-After": {"schema": {"type": "string"}, "description": words}}
    return found


def _in_path(name: str) -> Json:
    words, schema = _PATH_PARAMETERS[name]
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": words,
        "schema": {"type": "string", **schema},
    }


def _in_header(header: Header) -> Json:
    schema = {"type": "string", "pattern": header.pattern}
    return {"name": header.name, "in": "header", "description": header.description, "schema": schema}


def _in_query(schema: Json) -> Iterator[Json]:
    for name, each in schema["properties"].items():
        yield {"name": name, "in": "query", "schema": _without_null(each)}


def _without_null(schema: Json) -> Json:
    """Return the schema of a parameter: one that is not given is not null."""
    forms = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    rest = {key: each for key, each in schema.items() if key != "anyOf"}
    if "default" in rest and rest["default"] is None:
        del rest["default"]
    return {**rest, **forms[0]} if len(forms) == 1 else schema
