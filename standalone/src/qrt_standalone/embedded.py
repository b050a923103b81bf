"""The embedded database: a MongoDB wire-protocol server as a child process.

It is an optional extra with a licence of its own (GPL-2.0), so it is never imported: it runs beside
us and is spoken to over the wire like any MongoDB. Source of its options: SecantusDB 0.7.0b3.
"""

import asyncio
import ctypes
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

log = logging.getLogger(__name__)

START_SECONDS = 60.0
STOP_SECONDS = 20.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class EmbeddedDatabaseError(Exception):
    """The embedded database is not installed, or does not start; the text says what to do."""


@asynccontextmanager
async def embedded_mongo(storage: Path) -> AsyncIterator[str]:
    """Run the embedded server on `storage`; yields its connection string.

    Raises:
        EmbeddedDatabaseError: it is not installed, or it did not come up.
    """
    program = Path(sys.prefix) / "bin" / "secantusd-py"
    if not program.exists():
        raise EmbeddedDatabaseError(
            "the embedded database is not installed: pip install 'qrt-standalone[embedded-mongo]', "
            "or name a MongoDB server with --mongo-url"
        )
    port = _free_port()
    log_file = _prepared(storage)
    with log_file:
        process = await _spawn(program, storage, port, log_file)
    try:
        await _until_it_listens(process, port, storage)
        yield f"mongodb://127.0.0.1:{port}/?retryWrites=false"
    finally:
        await _stop(process)


async def _spawn(program: Path, storage: Path, port: int, log_file: BinaryIO) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        str(program),
        *("--host", "127.0.0.1", "--port", str(port), "--storage-path", str(storage)),
        *("--standalone", "--sync-on-commit", "--log-level", "WARNING"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=log_file,
        start_new_session=True,
        preexec_fn=_die_with_parent,
    )


def _prepared(storage: Path) -> BinaryIO:
    storage.mkdir(parents=True, exist_ok=True, mode=0o700)
    return (storage / "server.log").open("wb")


async def _until_it_listens(process: asyncio.subprocess.Process, port: int, storage: Path) -> None:
    try:
        async with asyncio.timeout(START_SECONDS):
            while process.returncode is None:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.02)
                    continue
                writer.close()
                return
    except TimeoutError:
        pass
    log_file = storage / "server.log"
    tail = log_file.read_text(errors="replace").strip().splitlines()[-1:] or ["no output"]
    raise EmbeddedDatabaseError(f"the embedded database did not start ({tail[0]}); see {log_file}")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        log.warning("the embedded database does not stop; killing it (its journal keeps it whole)")
        process.kill()
        await process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> None:
    # A runtime that is killed must not leave a server that holds the files of the next one.
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == 1:
        os._exit(1)
