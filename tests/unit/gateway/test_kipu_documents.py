"""What a service says of itself: its OpenAPI document and its page."""

import base64
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator, meta

from qrt_contracts.ids import dashed
from qrt_contracts.values import Artifact, Payload, Program, Signature, Version, Visibility
from qrt_gateway.kipu.description import openapi
from qrt_gateway.kipu.page import page
from qrt_gateway.kipu.samples import Samples
from tests.unit.gateway.fakes import NOW
from tests.unit.gateway.world import World, world

pytestmark = pytest.mark.kipu

ENDPOINT = "http://gateway/services/sum"
INPUT = {
    "type": "object",
    "properties": {
        "data": {"$ref": "#/$defs/Data"},
        "mode": {"enum": ["fast", "exact"], "default": "fast"},
        "note": {"anyOf": [{"type": "null"}, {"type": "string"}], "description": "<b>Bold</b> & more"},
    },
    "required": ["data"],
    "$defs": {
        "Data": {
            "type": "object",
            "title": "Data",
            "properties": {
                "values": {"type": "array", "items": {"type": "number"}},
                "next": {"anyOf": [{"$ref": "#/$defs/Data"}, {"type": "null"}], "default": None},
            },
            "required": ["values"],
        }
    },
}
OUTPUT = {
    "type": "object",
    "properties": {"sum": {"type": "number"}},
    "required": ["sum"],
    "additionalProperties": False,
}
SIGNATURE = Signature(input=INPUT, check=INPUT, output=OUTPUT, summary="Add up.", description="Slowly.")


def program(name: str = "sum") -> Program:
    latest = Version(number=3, bundle=Artifact(sha256="0" * 64, size=1), created_at=NOW)
    return Program(
        id="1" * 32,
        owner="alice",
        name=name,
        description="Of <numbers>.",
        latest=latest,
        created_at=NOW,
        updated_at=NOW,
    )


def described(signature: Signature | None = SIGNATURE, **more: Any) -> dict[str, Any]:
    return openapi(program(**more), signature, endpoint=ENDPOINT, cancel_status=200)


def validator(document: dict[str, Any], name: str) -> Draft202012Validator:
    """Return what judges by a component; references are into the document."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    return Draft202012Validator(schema)


async def put(gateway: World, signature: str | None = SIGNATURE.model_dump_json()) -> str:
    """Make a program whose newest version has that signature; return its id."""
    created = await gateway.http.post("/v1/programs", json={"name": "sum", "source": "x"})
    old = gateway.registry.programs[created.json()["id"]]
    payload = Payload(text=signature) if signature else None
    latest = old.latest.model_copy(update={"signature": payload})
    gateway.registry.programs[old.id] = old.model_copy(update={"latest": latest})
    return old.id


# --- the document ---------------------------------------------------------------------------------


def test_every_schema_of_the_document_is_one_and_every_reference_leads_somewhere() -> None:
    document = described()
    for name in document["components"]["schemas"]:
        meta.validate(document["components"]["schemas"][name])
    for reference in re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)):
        found: Any = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        assert isinstance(found, dict), reference


def test_the_input_is_what_the_program_takes_with_tags_and_secrets() -> None:
    judge = validator(described(), "Input")
    right: list[Any] = [
        {"data": {"values": [1]}},
        {"data": {"values": [1], "next": {"values": []}}, "$tags": ["a"], "$secrets": {"a": "b"}},
        {"data": {"values": []}, "$tags": None, "$secrets": None},
    ]
    for good in right:
        judge.validate(good)
    least: dict[str, Any] = {"data": {"values": []}}
    secrets: list[Any] = [{"1": "b"}, {"a": ""}, {"a": "\0"}, []]
    tags: list[Any] = ["a", [""], ["a\nb"], [1], {}]
    wrong: list[Any] = [{}, {"data": {"values": ["x"]}}, []]
    wrong += [least | {"$secrets": each} for each in secrets]
    wrong += [least | {"$tags": each} for each in tags]
    for bad in wrong:
        assert not judge.is_valid(bad), bad


def test_models_are_components_of_their_own_names_and_do_not_displace_each_other() -> None:
    same = {"type": "object", "properties": {"of": {"$ref": "#/$defs/Problem"}}, "required": ["of"]}
    given = same | {"$defs": {"Problem": {"type": "integer"}, "a/b c": {"$ref": "#/$defs/nothing"}}}
    taken = same | {"$defs": {"Problem": {"type": "string"}, "a/b c": {"type": "null"}}}
    document = described(Signature(input=given, check={}, output=taken))
    schemas = document["components"]["schemas"]
    assert "Data" in described()["components"]["schemas"]
    assert schemas["Problem"]["type"] == "object"
    assert (schemas["Input.Problem"], schemas["Output.Problem"]) == ({"type": "integer"}, {"type": "string"})
    assert (schemas["a_b_c"], schemas["Output.a_b_c"]["type"]) == (
        {"$ref": "#/components/schemas/Anything"},
        "null",
    )
    validator(document, "Input").validate({"of": 1})
    assert not validator(document, "Input").is_valid({"of": "1"})
    validator(document, "Output").validate({"of": "1"})


def test_without_a_signature_any_object_is_an_input() -> None:
    document = described(None)
    validator(document, "Input").validate({"data": 1, "params": None})
    assert not validator(document, "Input").is_valid([])
    assert "Output" not in document["components"]["schemas"]


def test_a_result_is_what_the_program_returns_with_the_envelope_or_why_it_failed() -> None:
    judge = validator(described(), "ResultResponse")
    around = {
        "_embedded": {"status": {"id": "x", "createdAt": "2026-01-01 00:00:00", "status": "SUCCEEDED"}},
        "_links": {"self": {"href": "a"}, "status": {"href": "b"}},
    }
    judge.validate({"sum": 1} | around)
    judge.validate(around)
    problem = {"type": "about:blank", "title": "t", "status": 500, "detail": "d", "code": "c"}
    judge.validate(problem | around)
    assert not judge.is_valid({"sum": "1"} | around)
    assert not judge.is_valid({"sum": 1})


def test_the_strict_cancellation_is_in_the_document() -> None:
    document = openapi(program(), None, endpoint=ENDPOINT, cancel_status=204)
    assert "204" in document["paths"]["/{id}/cancel"]["put"]["responses"]
    assert "200" in described()["paths"]["/{id}/cancel"]["put"]["responses"]


async def test_the_owner_gets_the_document_and_others_only_a_public_ones(gateway: World) -> None:
    program_id = await put(gateway)
    path = f"/services/{dashed(program_id)}"
    document = (await gateway.http.get(f"{path}/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert document["info"] == {
        "title": "sum",
        "version": "1",
        "summary": "Add up.",
        "description": "Slowly.",
    }
    assert document["servers"] == [{"url": f"http://gateway{path}"}]
    oauth = document["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    assert oauth["tokenUrl"] == "http://gateway/token"
    for each in ("openapi.json", "docs"):
        assert (await gateway.other.get(f"{path}/{each}")).status_code == 404
        asked = await gateway.client(None).get(f"{path}/{each}")
        assert (asked.status_code, asked.headers["www-authenticate"][:5]) == (401, "Basic")
        password = base64.b64encode(b"me:alice-token").decode()
        basic = {"Authorization": f"Basic {password}"}
        assert (await gateway.client(None).get(f"{path}/{each}", headers=basic)).status_code == 200
        assert (await gateway.client(None).get(path, headers=basic)).status_code == 401
    old = gateway.registry.programs[program_id]
    gateway.registry.programs[program_id] = old.model_copy(update={"visibility": Visibility.PUBLIC})
    for each in ("openapi.json", "docs"):
        assert (await gateway.client(None).get(f"{path}/{each}")).status_code == 200
    assert (await gateway.client(None).get(path)).status_code == 401


@pytest.mark.parametrize("depth", [60, 400])
async def test_a_signature_that_cannot_be_shown_leaves_the_rest(gateway: World, depth: int) -> None:
    deep = '{"a":' * depth + "1" + "}" * depth
    await put(gateway, f'{{"input": {deep}, "check": {{}}, "output": {{"properties": 1, "type": []}}}}')
    for each in ("openapi.json", "docs"):
        reply = await gateway.http.get(f"/services/sum/{each}")
        assert reply.status_code == 200
        assert "ServiceExecution" in reply.text


# --- the page -------------------------------------------------------------------------------------


class Seen(HTMLParser):
    """What a browser would make of a page: its elements, their attributes, its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


HARMLESS = {"html", "meta", "title", "style", "h1", "h2", "small", "p", "strong", "code", "b", "a", "pre"}
HARMLESS |= {"details", "summary", "table", "tr", "th", "td"}


async def test_the_page_asks_nobody_for_anything_and_may_not(gateway: World) -> None:
    await put(gateway)
    reply = await gateway.http.get("/services/sum/docs")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    seen = Seen(reply.text)
    assert set(seen.tags) <= HARMLESS
    assert {name for name, _ in seen.attributes} <= {"lang", "charset", "name", "content", "href", "class"}
    links = {value for name, value in seen.attributes if name == "href"}
    assert links == {"http://gateway/services/sum/openapi.json"}


def test_the_page_shows_properties_and_a_request_to_start_from() -> None:
    seen = Seen(page(described()))
    text = re.sub(r"\s+", " ", seen.text)
    for each in ("sum version 3", "Add up.", "Of <numbers>.", "object (Data)", "string or null"):
        assert each in text, each
    assert """-d '{"data": {"values": [1]}}'""" in seen.text
    assert 'default "fast"' in seen.text
    assert "required" in seen.text


def test_what_an_author_wrote_is_text_and_no_markup() -> None:
    evil = "</title><script>alert(1)</script>'\"&"
    schema = {
        "properties": {
            evil: {"type": evil, "description": evil, "default": evil, "title": evil, "enum": [evil]}
        },
        "required": [evil],
    }
    signature = Signature(input=schema, check={}, output={"type": "object"} | schema, summary=evil)
    seen = Seen(page(described(signature, name=evil)))
    assert set(seen.tags) <= HARMLESS
    assert evil in seen.text


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["object", "array", "#/$defs/a", "x"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["type", "properties", "required", "$ref", "anyOf", "items", "enum", "default", "$defs", "a",
             "prefixItems", "minimum", "format", "title", "description", "const", "examples"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["type", "properties", "required", "$defs", "anyOf"]), _JSON))
def test_no_schema_breaks_the_page(schema: dict[str, Any]) -> None:
    signature = Signature(input=schema, check={}, output=schema)
    try:
        document = described(signature)
    except TypeError:
        return  # the program is shown without it
    page(document)


@pytest.mark.parametrize(
    ("schema", "sample"),
    [
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "number", "exclusiveMinimum": 0}, 1),
        ({"type": "string", "format": "date"}, "2026-01-31"),
        ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, True),
        ({"enum": ["a", "b"]}, "a"),
        ({"const": 5}, 5),
        ({"examples": [[1, 2]]}, [1, 2]),
        ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "null"}]}, [1, None]),
        ({"type": ["string", "null"]}, "text"),
        ({"type": "object", "properties": {"a": {"type": "integer"}}}, {"a": 1}),
        (True, {}),
    ],
)
def test_a_sample_looks_like_its_schema(schema: Any, sample: Any) -> None:
    assert Samples({}).of(schema) == sample


def test_a_schema_without_end_has_a_sample_with_one() -> None:
    node = {"type": "object", "properties": {"l": {"$ref": "#/n"}, "r": {"$ref": "#/n"}}}
    document = {"n": node, "loop": {"$ref": "#/loop"}}
    assert len(json.dumps(Samples(document).of({"$ref": "#/n"}))) < 10_000
    assert Samples(document).of({"$ref": "#/loop"}) == {}


async def test_the_document_follows_how_cancellations_are_answered() -> None:
    async with world(kipu_cancel_status=204) as gateway:
        await put(gateway, None)
        document = (await gateway.http.get("/services/sum/openapi.json")).json()
    assert "204" in document["paths"]["/{id}/cancel"]["put"]["responses"]
