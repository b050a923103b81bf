"""`/v1/programs` as clients see it."""

from typing import Any

from tests.unit.gateway.world import World

SOURCE = "def run(task, userpub, params):\n    return 'ü'\n"


async def upload(gateway: World, name: str = "hello", **more: Any) -> dict[str, Any]:
    reply = await gateway.http.post("/v1/programs", json={"name": name, "source": SOURCE, **more})
    assert reply.status_code == 201, reply.text
    program: dict[str, Any] = reply.json()
    assert reply.headers["location"] == f"/v1/programs/{program['id']}"
    return program


async def test_a_program_is_created_with_all_it_was_given(gateway: World) -> None:
    given: dict[str, Any] = {
        "visibility": "public",
        "description": "says hello",
        "backend": "simulator",
        "group": "g",
        "cost": 1.5,
        "limits": {"wall_seconds": 5.0},
        "max_attempts": 1,
    }
    program = await upload(gateway, **given)
    shown = (await gateway.http.get(f"/v1/programs/{program['id']}")).json()
    assert shown == program
    assert shown["limits"]["wall_seconds"] == 5.0
    assert {key: shown[key] for key in given if key != "limits"} == {
        key: value for key, value in given.items() if key != "limits"
    }


async def test_the_source_is_returned_as_it_was_sent(gateway: World) -> None:
    program = await upload(gateway)
    reply = await gateway.http.get(f"/v1/programs/{program['id']}/source")
    assert reply.text == SOURCE
    assert reply.headers["content-type"] == "text/x-python; charset=utf-8"
    assert (await gateway.other.get(f"/v1/programs/{program['id']}/source")).status_code == 404


async def test_programs_are_listed_in_pages_and_found_by_name(gateway: World) -> None:
    for name in ("one", "two", "three"):
        await upload(gateway, name)
    first = (await gateway.http.get("/v1/programs", params={"limit": 2})).json()
    assert ([each["name"] for each in first["programs"]], first["total"]) == (["three", "two"], 3)
    rest = (await gateway.http.get("/v1/programs", params={"cursor": first["next_cursor"]})).json()
    assert ([each["name"] for each in rest["programs"]], rest["next_cursor"]) == (["one"], None)
    named = (await gateway.http.get("/v1/programs", params={"name": "two"})).json()
    assert [each["name"] for each in named["programs"]] == ["two"]
    assert (await gateway.http.get("/v1/programs", params={"name": "four"})).json()["programs"] == []


async def test_a_program_is_changed_in_what_is_given(gateway: World) -> None:
    program = await upload(gateway, description="old", cost=2)
    reply = await gateway.http.patch(f"/v1/programs/{program['id']}", json={"description": "new"})
    assert (reply.json()["description"], reply.json()["cost"]) == ("new", 2)


async def test_a_new_version_is_numbered(gateway: World) -> None:
    program = await upload(gateway)
    reply = await gateway.http.post(f"/v1/programs/{program['id']}/versions", json={"source": SOURCE + "#"})
    assert (reply.status_code, reply.json()["latest"]["number"]) == (201, 2)


async def test_a_deleted_program_is_gone(gateway: World) -> None:
    program = await upload(gateway)
    assert (await gateway.http.delete(f"/v1/programs/{program['id']}")).status_code == 204
    assert (await gateway.http.get(f"/v1/programs/{program['id']}")).status_code == 404


async def test_what_was_uploaded_is_kept_unless_it_is_refused(gateway: World) -> None:
    program = await upload(gateway)
    assert not gateway.artifacts.uploads
    again = await gateway.http.post("/v1/programs", json={"name": "hello", "source": SOURCE + "# more\n"})
    assert again.status_code == 409
    assert len(gateway.artifacts.uploads) == 1, "left to be removed"
    added = await gateway.http.post(f"/v1/programs/{program['id']}/versions", json={"source": "x = 1\n"})
    assert added.status_code == 201
    assert len(gateway.artifacts.uploads) == 1
