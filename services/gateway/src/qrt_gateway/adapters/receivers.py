"""Requests to receivers outside: to addresses that were checked, and to nothing else.

The check is made where the connection is: names are resolved here, what may not be reached is left out,
and the connection goes to the very address that was checked. The name stays what TLS and `Host` say.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import httpcore
import httpx
from httpcore import SOCKET_OPTION
from typing_extensions import override

from qrt_gateway.domain.reach import Reach
from qrt_gateway.ports import NotReached

ATTEMPT_SECONDS = 15.0
"""From the search for the name to the answer's last byte."""
RESOLVE_SECONDS = 3.0
"""How long a name is searched for when a webhook is made."""
BODY_BYTES = 64 << 10
"""What is read of an answer; the connection is closed after it."""
MOST_ADDRESSES = 4
_RESOLVERS = 8

Resolve = Callable[[str, int], list[str]]
"""Returns the addresses of a host. Raises: OSError. It may block."""


def resolved(host: str, port: int) -> list[str]:
    """Return the addresses of a host, as the system finds them."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except ValueError as error:  # a label too long, and such
        raise socket.gaierror(socket.EAI_NONAME, str(error)) from None
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class Receivers:
    """The `Reached` port. `close` gives its threads back."""

    def __init__(
        self,
        reach: Reach,
        *,
        resolve: Resolve = resolved,
        seconds: float = ATTEMPT_SECONDS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Reach what `reach` allows; `tls` is what to trust in place of the well-known authorities."""
        self._reach = reach
        self._resolve = resolve
        self._seconds = seconds
        self._trusted = tls
        # Of its own: a name server that does not answer must not hold up other work in threads.
        self._threads = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="webhook-names")

    def close(self) -> None:
        """Resolve nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def may_reach(self, url: str) -> str | None:
        """Return why a URL can never be sent to; None if it can, or if its host is not found now."""
        parsed = httpx.URL(url)
        if not (_secure(parsed) or self._reach.http or self._reach.networks):
            return "only https is sent to here; give an address such as https://example.org/hook"
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                await self._addresses(parsed.raw_host.decode(), _port(parsed), secure=_secure(parsed))
        except _NoneAllowed as error:
            return str(error)
        except (OSError, TimeoutError):
            return None
        return None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Return the status that a receiver answers. Raises: NotReached."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._post(httpx.URL(url), body, headers)
        except TimeoutError:
            raise NotReached(f"no answer within {self._seconds:g} s") from None
        except _NoneAllowed as error:
            raise NotReached(str(error)) from None
        except socket.gaierror:
            raise NotReached("its host is not found") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
            raise NotReached(_words(error)) from None

    async def _post(self, url: httpx.URL, body: bytes, headers: Mapping[str, str]) -> int:
        secure = _secure(url)
        target = httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path or b"/"
        )
        fields = {"Host": url.netloc.decode(), "Content-Length": str(len(body)), **headers}
        async with (
            httpcore.AsyncConnectionPool(
                ssl_context=self._tls if secure else None, network_backend=_Checked(self, secure=secure)
            ) as pool,
            pool.stream("POST", target, headers=list(fields.items()), content=body) as answer,
        ):
            size = 0
            async for chunk in answer.aiter_stream():
                size += len(chunk)
                if size >= BODY_BYTES:
                    break
            return answer.status

    async def _addresses(self, host: str, port: int, *, secure: bool) -> list[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, self._resolve, host, port)
        allowed = [each for each in found if self._reach.allows(each, secure=secure)]
        if not allowed:
            raise _NoneAllowed(secure=secure)
        return allowed[:MOST_ADDRESSES]

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._trusted or httpx.create_ssl_context(trust_env=False)


class _Checked(httpcore.AsyncNetworkBackend):
    """Connects to allowed addresses of a host."""

    def __init__(self, receivers: Receivers, *, secure: bool) -> None:
        self._receivers = receivers
        self._secure = secure
        self._network = httpcore.AnyIOBackend()

    @override
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._receivers._addresses(host, port, secure=self._secure)
        *others, last = addresses
        for address in others:
            try:
                return await self._network.connect_tcp(address, port, timeout=self._receivers._seconds / 3)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._network.connect_tcp(last, port, timeout=timeout)

    @override
    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _NoneAllowed(Exception):
    def __init__(self, *, secure: bool) -> None:
        more = "" if secure else ", or needs https there"
        super().__init__(f"its host has no address that everybody can reach{more}")


def _secure(url: httpx.URL) -> bool:
    return url.scheme == "https"


def _port(url: httpx.URL) -> int:
    return url.port or (443 if _secure(url) else 80)


def _words(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return f"TLS: {getattr(cause, 'verify_message', '') or cause.reason}"
        cause = cause.__cause__ or cause.__context__
    kinds: tuple[tuple[type[Exception], str], ...] = (
        (httpcore.ConnectError, "it takes no connections"),
        (httpcore.ProtocolError, "its answer is no HTTP"),
        (httpcore.TimeoutException, "it did not answer in time"),
    )
    return next((words for kind, words in kinds if isinstance(error, kind)), "the connection broke")
