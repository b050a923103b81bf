"""What a version is made of, and what it takes."""

import json

from qrt_contracts.values import Payload
from tests.unit.gateway.test_programs import SOURCE, upload
from tests.unit.gateway.world import World

INPUT = {"type": "object", "properties": {"shots": {"type": "integer", "default": 100}}, "required": []}


async def test_every_version_keeps_its_source(gateway: World) -> None:
    program = await upload(gateway)
    newer = SOURCE + "# newer\n"
    await gateway.http.post(f"/v1/programs/{program['id']}/versions", json={"source": newer})

    sources = {
        number: (await gateway.http.get(f"/v1/programs/{program['id']}/versions/{number}/source")).text
        for number in ("1", "2", "latest")
    }

    assert sources == {"1": SOURCE, "2": newer, "latest": newer}
    missing = await gateway.http.get(f"/v1/programs/{program['id']}/versions/3/source")
    assert missing.status_code == 404


async def test_a_version_says_what_it_takes_as_far_as_that_is_known(gateway: World) -> None:
    program = await upload(gateway)
    path = f"/v1/programs/{program['id']}/versions/latest/signature"
    unknown = (await gateway.http.get(path)).json()
    assert (unknown["version"], unknown["input"], unknown["summary"]) == (1, None, None)

    known = {"input": INPUT, "check": {"type": "object"}, "summary": "Adds."}
    gateway.registry.signature = Payload(text=json.dumps(known))
    shown = (await gateway.http.get(path)).json()
    assert (shown["input"], shown["summary"], shown["kind"]) == (INPUT, "Adds.", "quafu")
    assert "check" not in shown


async def test_what_one_may_not_see_has_neither_source_nor_signature(gateway: World) -> None:
    program = await upload(gateway)
    for what in ("source", "signature"):
        reply = await gateway.other.get(f"/v1/programs/{program['id']}/versions/1/{what}")
        assert reply.status_code == 404
