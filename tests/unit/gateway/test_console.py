import re
from datetime import timedelta
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest

from qrt_gateway.console.files import BASE, load
from tests.unit.gateway.world import OTHER, TOKEN, World

SESSION = "/console/session"
OWN = {"X-QRT-Console": "1", "Origin": "http://gateway"}


async def signed_in(gateway: World, token: str = TOKEN) -> httpx.AsyncClient:
    """Return a client that has a session's cookie and no token."""
    client = gateway.client(None)
    reply = await client.post(SESSION, json={"token": token})
    assert reply.status_code == 204, reply.text
    return client


async def test_a_token_is_exchanged_for_a_cookie_that_scripts_and_other_sites_cannot_use(
    gateway: World,
) -> None:
    reply = await gateway.client(None).post(SESSION, json={"token": TOKEN})

    assert (reply.status_code, reply.content) == (204, b"")
    cookie = SimpleCookie(reply.headers["set-cookie"])["qrt_console"]
    assert TOKEN not in reply.headers["set-cookie"]
    assert cookie["httponly"]
    assert cookie["samesite"].lower() == "strict"
    assert (cookie["path"], cookie["max-age"], bool(cookie["secure"])) == ("/", "43200", False)


async def test_behind_https_the_cookie_is_for_https_alone(gateway: World) -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(gateway.app), base_url="https://gateway"
    ) as client:
        reply = await client.post(SESSION, json={"token": TOKEN})

    assert "secure" in reply.headers["set-cookie"].lower()


async def test_a_session_reads_as_its_token_would(gateway: World) -> None:
    for token, name in ((TOKEN, "alice"), (OTHER, "bob")):
        client = await signed_in(gateway, token)
        reply = await client.get("/v1/account")
        assert (reply.status_code, reply.json()["name"]) == (200, name)


@pytest.mark.parametrize("path", ["/v1/account", "/v1/jobs", "/v1/programs/{id}/source"])
async def test_answers_are_kept_to_the_page_that_asked(gateway: World, path: str) -> None:
    created = await gateway.http.post("/v1/programs", json={"name": "p", "source": "<script>1</script>"})
    client = await signed_in(gateway)
    reply = await client.get(path.format(id=created.json()["id"]))
    assert reply.status_code == 200
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cross-origin-resource-policy"] == "same-origin"
    assert "private" in reply.headers["cache-control"]
    assert "html" not in reply.headers["content-type"]


async def test_a_token_in_the_request_counts_before_the_cookie(gateway: World) -> None:
    client = await signed_in(gateway)
    reply = await client.post(
        "/v1/tokens",
        json={"name": "x"},
        headers={"Authorization": f"Bearer {OTHER}", "Origin": "http://evil"},
    )
    assert (reply.status_code, reply.json()["account"]) == (201, "bob")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (OWN, 201),
        ({"X-QRT-Console": "1", "Sec-Fetch-Site": "same-origin"}, 201),
        (OWN | {"Sec-Fetch-Site": "same-origin"}, 201),
        ({}, 403),
        ({"X-QRT-Console": "1"}, 403),
        ({"Origin": "http://gateway"}, 403),
        ({"X-QRT-Console": "0", "Origin": "http://gateway"}, 403),
        ({"X-QRT-Console": "1", "Origin": "http://evil.example"}, 403),
        ({"X-QRT-Console": "1", "Origin": "null"}, 403),
        ({"X-QRT-Console": "1", "Origin": "http://gateway:8001"}, 403),
        (OWN | {"Sec-Fetch-Site": "cross-site"}, 403),
        (OWN | {"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
async def test_with_the_cookie_only_the_consoles_own_requests_change_something(
    gateway: World, headers: dict[str, str], status: int
) -> None:
    client = await signed_in(gateway)
    reply = await client.post("/v1/tokens", json={"name": "x"}, headers=headers)
    assert reply.status_code == status, reply.text


@pytest.mark.parametrize("path", ["/runtime/program", "/services/x/", "/compat/quafu-a/runtime/program"])
async def test_the_cookie_counts_on_the_native_surface_alone(gateway: World, path: str) -> None:
    client = await signed_in(gateway)
    same = {"X-Request-Id": "the-same"}
    reply = await client.get(path, headers=OWN | same)
    nobody = await gateway.client(None).get(path, headers=same)
    assert (reply.status_code, reply.content) == (nobody.status_code, nobody.content)


async def test_the_page_learns_whether_there_is_a_session_without_a_refusal(gateway: World) -> None:
    client = await signed_in(gateway)
    assert (await client.get(SESSION)).json() == {"signed_in": True}
    await client.delete(SESSION, headers=OWN)
    for cookie in ({}, {"Cookie": "qrt_console=gone"}):
        reply = await gateway.client(None).get(SESSION, headers=cookie)
        assert (reply.status_code, reply.json()) == (200, {"signed_in": False})


async def test_a_session_ends_with_its_token(gateway: World) -> None:
    issued = (await gateway.http.post("/v1/tokens", json={"name": "browser"})).json()
    client = await signed_in(gateway, issued["token"])
    assert (await client.get("/v1/account")).status_code == 200

    await gateway.http.delete(f"/v1/tokens/{issued['id']}")

    assert (await client.get("/v1/account")).status_code == 401


async def test_a_session_ends_after_twelve_hours(gateway: World) -> None:
    client = await signed_in(gateway)
    cookie = {"Cookie": f"qrt_console={client.cookies['qrt_console']}"}

    gateway.clock.now += timedelta(hours=12)

    reply = await gateway.client(None).get("/v1/account", headers=cookie)
    assert reply.status_code == 401
    assert "session has ended" in reply.json()["detail"]


async def test_signing_out_ends_the_session_and_nothing_else(gateway: World) -> None:
    client, another = await signed_in(gateway), await signed_in(gateway)
    cookie = {"Cookie": f"qrt_console={client.cookies['qrt_console']}"}
    assert (await client.delete(SESSION)).status_code == 403, "another site could sign people out"

    reply = await client.delete(SESSION, headers=OWN)

    assert reply.status_code == 204
    assert 'qrt_console=""' in reply.headers["set-cookie"]
    assert (await gateway.client(None).get("/v1/account", headers=cookie)).status_code == 401
    assert (await another.get("/v1/account")).status_code == 200
    assert (await gateway.http.get("/v1/account")).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"token": "unknown"}, 401),
        ({"token": "with space"}, 401),
        ({"token": ""}, 422),
        ({}, 422),
        ({"token": "x", "more": 1}, 422),
        ({"token": ["x"]}, 422),
        ([], 400),
    ],
)
async def test_what_is_no_token_gives_no_cookie(gateway: World, body: Any, status: int) -> None:
    reply = await gateway.client(None).post(SESSION, json=body)
    assert reply.status_code == status, reply.text
    assert "set-cookie" not in reply.headers
    assert "input" not in reply.json()


async def test_pages_of_other_sites_sign_nobody_in(gateway: World) -> None:
    client = gateway.client(None)
    foreign = await client.post(SESSION, json={"token": TOKEN}, headers={"Origin": "http://evil.example"})
    form = await client.post(SESSION, data={"token": TOKEN})
    assert (foreign.status_code, form.status_code) == (403, 415)


async def test_an_invented_cookie_is_nobody(gateway: World) -> None:
    for cookie in ("x", "x" * 5000, TOKEN):
        reply = await gateway.client(None).get("/v1/account", headers={"Cookie": f"qrt_console={cookie}"})
        assert reply.status_code == 401, cookie[:10]


@pytest.mark.parametrize(
    "path", ["/console", "/console/", "/console/jobs", "/console/jobs/0123", "/console/a/b/c"]
)
async def test_every_address_of_the_console_is_its_page_under_a_strict_policy(
    gateway: World, path: str
) -> None:
    reply = await gateway.client(None).get(path)

    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy
    assert reply.headers["cross-origin-opener-policy"] == "same-origin"
    assert reply.headers["cross-origin-resource-policy"] == "same-origin"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cache-control"] == "no-cache"
    assert "set-cookie" not in reply.headers


async def test_every_file_that_the_page_names_is_there_and_never_changes(gateway: World) -> None:
    client = gateway.client(None)
    html = (await client.get("/console")).text
    named = re.findall(r'"(/console/static/[^"]+)"', html)
    assert len(named) >= 8

    for address in named:
        reply = await client.get(address)
        assert reply.status_code == 200, address
        assert "immutable" in reply.headers["cache-control"]
        assert reply.headers["x-content-type-options"] == "nosniff"


async def test_modules_import_only_files_that_are_there(gateway: World) -> None:
    files = load()
    for name, file in files.by_path.items():
        if not name.endswith(".js"):
            continue
        for wanted in re.findall(r'(?:from|import\()\s*"(\.[^"]+)"', file.content.decode()):
            found = httpx.URL(f"http://x/{name}").join(wanted).path.lstrip("/")
            assert found in files.by_path, f"{name} imports {wanted}"


async def test_files_are_found_by_name_alone(gateway: World) -> None:
    client, digest = gateway.client(None), load().digest
    for path in ("../files.py", "%2e%2e/files.py", "..%2f..%2fcompose.py", "nothing.js", "", "index.html/x"):
        reply = await client.get(f"{BASE}/{digest}/{path}")
        assert reply.status_code == 404 or reply.text.startswith("<!doctype html>"), path


async def test_a_page_of_another_release_gets_todays_files_and_does_not_keep_them(gateway: World) -> None:
    reply = await gateway.client(None).get(f"{BASE}/0123456789abcdef/app.js")
    assert (reply.status_code, reply.headers["cache-control"]) == (200, "no-cache")


async def test_files_come_compressed_to_who_takes_that(gateway: World) -> None:
    client, address = gateway.client(None), f"{load().base}/vendor/uplot.mjs"
    plain = await client.get(address, headers={"Accept-Encoding": "identity"})
    small = await client.get(address, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert small.headers["content-encoding"] == "gzip"
    assert small.content == plain.content
    assert int(small.headers["content-length"]) < int(plain.headers["content-length"]) / 2


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://gateway"}, 101),
        ({"Origin": "http://gateway", "Sec-Fetch-Site": "same-origin"}, 101),
        ({}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://gateway:8001"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://evil.example", "X-QRT-Console": "1"}, 403),
    ],
)
async def test_with_the_cookie_only_the_consoles_own_pages_open_websockets(
    gateway: World, headers: dict[str, str], status: int
) -> None:
    client = await signed_in(gateway)
    cookie = {"Cookie": f"qrt_console={client.cookies['qrt_console']}"}
    assert await opened(gateway, "/v1/stream", headers | cookie) == status


async def test_without_a_session_no_websocket_opens(gateway: World) -> None:
    own = {"Origin": "http://gateway", "Cookie": "qrt_console=invented"}
    assert await opened(gateway, "/v1/stream", own) == 401


async def opened(gateway: World, path: str, headers: dict[str, str]) -> int:
    """Return the status that a WebSocket's handshake is answered with; close it if it is opened."""
    given = {"Host": "gateway"} | headers
    scope: dict[str, Any] = {
        "type": "websocket",
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        "extensions": {"websocket.http.response": {}},
    }
    incoming: list[dict[str, Any]] = [{"type": "websocket.connect"}, {"type": "websocket.disconnect"}]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return incoming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    await gateway.app(scope, receive, send)
    first = sent[0]
    return 101 if first["type"] == "websocket.accept" else int(first["status"])
