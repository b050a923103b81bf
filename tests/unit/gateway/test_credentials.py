"""`/v1/account/credentials`: tokens for services outside, and what jobs carry of them."""

import pytest
from pydantic import SecretStr

from qrt_chassis.sealing import Seal, for_jobs_of
from qrt_gateway.service.secrets import MEMORY_SECONDS, Secrets
from tests.unit.gateway.test_jobs import submit
from tests.unit.gateway.test_programs import upload
from tests.unit.gateway.world import SEAL, World, world

pytestmark = pytest.mark.quafu

PATH = "/v1/account/credentials/quafu"
CLOUD_TOKEN = "a-cloud-token"


async def carried(gateway: World) -> str | None:
    """Return what the newest job carries, sealed."""
    reply = await submit(gateway, {"program_name": "hello"})
    assert reply.status_code == 201, reply.text
    assert "sealed" not in reply.text
    assert "confidential" not in reply.text
    return gateway.scheduler.submissions[-1].confidential


async def test_a_token_is_kept_sealed_told_of_and_never_told(gateway: World) -> None:
    missing = await gateway.http.get(PATH)
    assert (missing.status_code, missing.json()["code"]) == (404, "NotFound")
    kept = await gateway.http.put(PATH, json={"token": CLOUD_TOKEN})
    shown = await gateway.http.get(PATH)
    assert (kept.status_code, shown.status_code) == (200, 200)
    assert kept.json() == shown.json() == {"cloud": "quafu", "updated_at": "2026-01-02T03:04:05Z"}
    (stored,) = gateway.store.credentials.values()
    assert CLOUD_TOKEN not in stored.sealed
    assert "sealed" not in repr(stored)
    assert (await gateway.other.get(PATH)).status_code == 404
    assert (await gateway.http.delete(PATH)).status_code == 204
    assert (await gateway.http.get(PATH)).status_code == 404
    assert (await gateway.http.delete(PATH)).status_code == 404


async def test_the_jobs_of_an_account_carry_its_token_and_nobody_elses_do(gateway: World) -> None:
    await upload(gateway)
    assert await carried(gateway) is None
    await gateway.http.put(PATH, json={"token": "an-earlier-one"})
    await gateway.http.put(PATH, json={"token": CLOUD_TOKEN})
    sealed = await carried(gateway)
    assert sealed is not None
    assert CLOUD_TOKEN not in sealed
    assert SEAL.open(sealed, purpose=for_jobs_of("alice")).credentials == {"quafu": CLOUD_TOKEN}
    await gateway.http.delete(PATH)
    assert await carried(gateway) is None


async def test_a_change_at_another_gateway_is_noticed_in_a_while(gateway: World) -> None:
    await upload(gateway)
    assert await carried(gateway) is None
    elsewhere = Secrets(gateway.store, seal=SEAL, clock=gateway.clock, monotonic=gateway.clock.monotonic)
    await elsewhere.keep("alice", "quafu", CLOUD_TOKEN)
    assert await carried(gateway) is None
    gateway.clock.seconds += MEMORY_SECONDS
    assert await carried(gateway) is not None


@pytest.mark.parametrize("token", ["", "with space", "é", "line\nbreak", "x" * 5000])
async def test_what_no_header_can_hold_is_refused_without_repeating_it(gateway: World, token: str) -> None:
    reply = await gateway.http.put(PATH, json={"token": token})
    assert (reply.status_code, reply.json()["field"]) == (422, "token")
    assert not token or token not in reply.text
    assert gateway.store.credentials == {}


async def test_a_cloud_that_is_not_known_has_no_tokens(gateway: World) -> None:
    reply = await gateway.http.put("/v1/account/credentials/other", json={"token": "t"})
    assert reply.status_code == 404
    assert "there is: quafu" in reply.json()["detail"]


async def test_without_sealing_keys_nothing_is_kept_and_jobs_run_as_ever() -> None:
    async with world(sealing=False) as gateway:
        reply = await gateway.http.put(PATH, json={"token": CLOUD_TOKEN})
        assert (reply.status_code, reply.json()["code"]) == (409, "Conflict")
        assert "QRT_GATEWAY_SEALING_KEYS" in reply.json()["detail"]
        await upload(gateway)
        assert await carried(gateway) is None


async def test_a_token_sealed_with_a_lost_key_is_asked_for_again(gateway: World) -> None:
    await upload(gateway)
    lost = Seal(SecretStr("another key with 32 characters or more"))
    elsewhere = Secrets(gateway.store, seal=lost, clock=gateway.clock, monotonic=gateway.clock.monotonic)
    await elsewhere.keep("alice", "quafu", CLOUD_TOKEN)
    reply = await submit(gateway, {"program_name": "hello"})
    assert (reply.status_code, reply.json()["code"]) == (409, "Conflict")
    assert "put it again, or delete it" in reply.json()["detail"]
    assert (await gateway.http.delete(PATH)).status_code == 204
    assert await carried(gateway) is None
