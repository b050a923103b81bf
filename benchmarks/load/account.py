"""The owners of a load, and what is made for them and removed again."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from benchmarks.load.programs import SOURCES, TICKER
from qrt_contracts.ids import new_id

REQUEST_SECONDS = 90.0
REMOVALS_AT_ONCE = 8


@dataclass
class Owner:
    """Somebody who submits jobs."""

    client: ClientSession
    programs: dict[str, str] = field(default_factory=dict)
    """Program ids by kind."""
    jobs: list[str] = field(default_factory=list)


def session(url: str, token: str) -> ClientSession:
    """Return a client that may have as many requests under way as there are."""
    return ClientSession(
        url,
        headers={"Authorization": f"Bearer {token}"},
        connector=TCPConnector(limit=0),
        timeout=ClientTimeout(REQUEST_SECONDS),
    )


@asynccontextmanager
async def owners(
    url: str, tokens: Sequence[str], *, more: int, kinds: Sequence[str], keep: bool
) -> AsyncIterator[list[Owner]]:
    """Return an owner for each token and for `more` accounts that the first one, an administrator's, makes.

    Each gets a program of each kind. Afterwards jobs, programs and tokens that were made are removed unless
    `keep`; the accounts `load-1`, `load-2`, ... stay, without a token.
    """
    found: list[Owner] = []
    issued: list[tuple[str, str]] = []
    try:
        found += [Owner(session(url, token)) for token in tokens]
        for number in range(1, more + 1):
            name, token_id, secret = await _account(found[0].client, f"load-{number}")
            issued.append((name, token_id))
            found.append(Owner(session(url, secret)))
        await asyncio.gather(*(_upload(owner, kinds) for owner in found))
        yield found
    finally:
        if not keep:
            await asyncio.gather(*map(_remove, found))
        for name, token_id in issued:
            await _delete(found[0].client, f"/v1/accounts/{name}/tokens/{token_id}")
        await asyncio.gather(*(owner.client.close() for owner in found))


async def _account(client: ClientSession, name: str) -> tuple[str, str, str]:
    """Return name, token id and token of an account; one that is there gets a further token."""
    async with client.post("/v1/accounts", json={"name": name}) as reply:
        if reply.status == 409:
            path, body = f"/v1/accounts/{name}/tokens", {"name": "load"}
            async with client.post(path, json=body, raise_for_status=True) as further:
                issued = await further.json()
        elif reply.status in (401, 403):
            raise SystemExit("--owners makes accounts: the token must be an administrator's")
        else:
            reply.raise_for_status()
            issued = await reply.json()
    return name, issued["id"], issued["token"]


async def _upload(owner: Owner, kinds: Sequence[str]) -> None:
    sources = SOURCES | {"ticker": TICKER}
    for kind in kinds:
        body = {"name": f"load-{kind}-{new_id()}", "source": sources[kind]}
        async with owner.client.post("/v1/programs", json=body) as reply:
            if reply.status != 201:
                raise SystemExit(f"no program could be made ({reply.status}): {await reply.text()}")
            owner.programs[kind] = (await reply.json())["id"]


async def _remove(owner: Owner) -> None:
    left = iter(owner.jobs)

    async def worker() -> None:
        for job in left:
            await _delete(owner.client, f"/v1/jobs/{job}")

    await asyncio.gather(*(worker() for _ in range(REMOVALS_AT_ONCE)))
    for program in owner.programs.values():
        await _delete(owner.client, f"/v1/programs/{program}")


async def _delete(client: ClientSession, path: str) -> None:
    """Delete, as far as that goes: a job that has not ended stays."""
    try:
        async with client.delete(path):
            return
    except (ClientError, TimeoutError):
        return
