"""Requests to receivers: only to addresses that everybody can reach, or that the operator names."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from qrt_gateway.adapters.receivers import BODY_BYTES, Receivers, resolved
from qrt_gateway.domain.reach import Reach, networks_of
from qrt_gateway.ports import NotReached
from tests.support.receiving import Receiving, receiving

LOOPBACK = Reach(networks=networks_of(["127.0.0.0/8"]))
INTERNAL = [
    *("0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.1.2.3", "169.254.169.254"),
    *("172.16.0.1", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "224.0.0.1"),
    *("240.0.0.1", "255.255.255.255", "168.63.129.16", "::", "::1", "::7f00:1", "::ffff:127.0.0.1"),
    *("::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "fc00::1"),
    *("fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2002:7f00:1::", "2001::1"),
    *("2001:db8::1", "nonsense"),
]
PUBLIC = ["8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::808:808", "2001:4860:4860::8888"]


@pytest.mark.parametrize("address", INTERNAL)
def test_an_address_that_not_everybody_can_reach_is_not_allowed(address: str) -> None:
    assert not Reach(http=True).allows(address, secure=True)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_allowed_by_https_and_by_http_where_the_operator_says_so(address: str) -> None:
    assert Reach().allows(address, secure=True)
    assert not Reach().allows(address, secure=False)
    assert Reach(http=True).allows(address, secure=False)


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1"])
def test_what_the_operator_names_is_allowed_however_it_is_written(address: str) -> None:
    assert LOOPBACK.allows(address, secure=False)
    assert not LOOPBACK.allows("10.0.0.1", secure=True)


def to(*addresses: str) -> Callable[[str, int], list[str]]:
    """Return a resolver that finds these, one more at each call."""
    left = list(addresses)
    return lambda _host, _port: [left.pop(0) if len(left) > 1 else left[0]]


async def post(receivers: Receivers, url: str) -> int:
    try:
        return await receivers.post(url, b"{}", {"webhook-id": "1"})
    finally:
        receivers.close()


async def test_a_request_goes_to_the_checked_address_and_names_its_host() -> None:
    async with receiving() as server:
        receivers = Receivers(LOOPBACK, resolve=to("127.0.0.1"))
        assert await post(receivers, f"http://hooks.example:{server.port}/a%20b?x=1") == 204
    (got,) = server.got
    assert got.line == "POST /a%20b?x=1 HTTP/1.1"
    assert got.headers["Host"] == f"hooks.example:{server.port}"
    assert (got.headers["webhook-id"], got.body) == ("1", b"{}")


async def test_a_name_that_leads_elsewhere_the_second_time_is_refused_then() -> None:
    async with receiving() as server:
        rebound = Receivers(Reach(http=True), resolve=to("8.8.8.8", "127.0.0.1"))
        url = f"http://hooks.example:{server.port}/"
        assert await rebound.may_reach(url) is None
        with pytest.raises(NotReached, match="no address that everybody can reach"):
            await post(rebound, url)
    assert server.got == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "2130706433", "0x7f.1", "[::1]", "0", "[::]"])
async def test_this_machine_is_not_reached_however_it_is_named(host: str) -> None:
    async with receiving() as server:
        url = f"http://{host}:{server.port}/"
        receivers = Receivers(Reach(http=True))
        assert await receivers.may_reach(url) is not None
        with pytest.raises(NotReached):
            await post(receivers, url)
    assert server.got == []


async def test_redirects_are_not_followed() -> None:
    def answer(_: int) -> bytes:
        return b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"

    async with receiving(answer) as server:
        assert await post(Receivers(LOOPBACK), server.url) == 302
    assert len(server.got) == 1


async def test_of_an_answer_without_end_a_part_is_read_and_of_none_there_is_a_time_limit() -> None:
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * (2 * BODY_BYTES)
    async with receiving(lambda _: long) as server:
        assert await post(Receivers(LOOPBACK), server.url) == 200
    short = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx"
    async with receiving(lambda _: short) as server:
        with pytest.raises(NotReached):
            await post(Receivers(LOOPBACK), server.url)


async def test_what_is_no_http_and_what_takes_no_connections_is_told_apart() -> None:
    async with receiving(lambda _: b"hello\r\n\r\n") as server:
        with pytest.raises(NotReached, match="no HTTP"):
            await post(Receivers(LOOPBACK), server.url)
    with pytest.raises(NotReached, match="takes no connections"):
        await post(Receivers(LOOPBACK), server.url)


async def test_a_name_that_is_not_found_is_taken_and_its_deliveries_say_so() -> None:
    def nowhere(_host: str, _port: int) -> list[str]:
        raise OSError

    with pytest.raises(OSError, match="label"):
        resolved(f"{'a' * 64}.example", 80)
    receivers = Receivers(Reach(), resolve=nowhere)
    assert "https" in str(await receivers.may_reach("http://hooks.example/"))
    assert await receivers.may_reach("https://hooks.example/") is None
    with pytest.raises(NotReached):
        await post(receivers, "https://hooks.example/")


async def test_the_name_is_what_tls_asks_for_and_its_certificate_is_checked(tmp_path: Path) -> None:
    server_side, client_side, asked = certificates(tmp_path, "hooks.example")
    async with receiving(tls=server_side) as server:
        trusting = Receivers(LOOPBACK, resolve=to("127.0.0.1"), tls=client_side)
        assert await post(trusting, f"https://hooks.example:{server.port}/") == 204
        other = Receivers(LOOPBACK, resolve=to("127.0.0.1"), tls=client_side)
        with pytest.raises(NotReached, match="TLS"):
            await post(other, f"https://other.example:{server.port}/")
        plain = Receivers(LOOPBACK, resolve=to("127.0.0.1"))
        with pytest.raises(NotReached, match="TLS"):
            await post(plain, f"https://hooks.example:{server.port}/")
    assert asked[:2] == ["hooks.example", "other.example"]
    assert only(server) == "{}"


def only(server: Receiving) -> str:
    (got,) = server.got
    return got.body.decode()


def certificates(directory: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext, list[str]]:
    """Return a server's context, that of a client that trusts it, and the names it was asked for."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = directory / "server.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    asked: list[str] = []
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(pem)

    def note(_: ssl.SSLObject, host: str | None, __: ssl.SSLContext) -> None:
        asked.append(host or "")

    server.sni_callback = note
    return server, ssl.create_default_context(cafile=str(pem)), asked
