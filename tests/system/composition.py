"""The product as its users run it: four service processes, or the standalone one, and how to harm them."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support.processes import free_port
from tests.support.waiting import wait_until

TOKEN = "alices-token"
OTHER_TOKEN = "bobs-token"
NOTEBOOK_TOKEN = "testapitoken"
"""The seed notebook's token; its account has no other programs."""
LOOPBACK = "127.0.0.0/8"
"""Where the tests receive webhooks."""
SEALING_KEY = "the gateway and the executor share this key"
ROOT = Path(__file__).parents[2]
PROGRAM_PYTHON = ROOT / ".venv" / "programs" / "bin" / "python"
SERVICES = ("registry", "scheduler", "executor", "gateway")


@dataclass
class Process:
    """One process of the product, restartable with the same settings."""

    name: str
    argv: list[str]
    environ: dict[str, str]
    log: Path
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.argv, env=self.environ, stdout=log, stderr=log, start_new_session=True
            )

    async def stop(self, sent: signal.Signals = signal.SIGTERM, within: float = 30) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(sent)
            try:
                await asyncio.wait_for(self.process.wait(), within)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        code = self.process.returncode
        assert code is not None
        return code

    async def kill(self) -> None:
        await self.stop(signal.SIGKILL)

    def signal(self, sent: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(sent)

    def logged(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


@dataclass
class Composition:
    """Running processes and where to talk to them."""

    url: str
    processes: dict[str, Process] = field(default_factory=dict)

    async def ready(self, within: float = 60, *, token: str = TOKEN) -> None:
        async def answers() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                async with httpx.AsyncClient(timeout=5) as client:
                    reply = await client.get(
                        f"{self.url}/v1/jobs", headers={"Authorization": f"Bearer {token}"}
                    )
                    return reply.status_code == 200
            return False

        await wait_until(answers, description=f"an answer of {self.url}", seconds=within)


def _clean_environ() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("QRT_")}


def service_process(
    name: str,
    directory: Path,
    rabbit: str,
    mongo: str,
    *,
    replica: int = 1,
    settings: Mapping[str, str] | None = None,
) -> Process:
    """Return one service's process, not yet started."""
    prefix = f"QRT_{name.upper()}_"
    environ = _clean_environ() | {
        f"{prefix}BUS_URL": rabbit,
        f"{prefix}MONGO_URL": mongo,
        f"{prefix}HEALTH_PORT": "0",
    }
    if name in ("executor", "gateway"):
        environ[f"{prefix}SEALING_KEYS"] = SEALING_KEY
    if name == "executor":
        environ |= {
            f"{prefix}PROGRAM_PYTHON": str(PROGRAM_PYTHON),
            f"{prefix}UNSAFE_PROCESS": "true",
            f"{prefix}NAME": f"executor-{replica}",
        }
    if name == "gateway":
        environ[f"{prefix}WEBHOOK_NETWORKS"] = LOOPBACK
        environ[f"{prefix}BOOTSTRAP_TOKENS"] = f"alice={TOKEN},bob={OTHER_TOKEN},notebook={NOTEBOOK_TOKEN}"
    environ |= {prefix + key.upper(): value for key, value in (settings or {}).items()}
    return Process(
        name,
        [sys.executable, "-m", f"qrt_{name}"],
        environ,
        directory / f"{name}-{replica}.log",
    )


@asynccontextmanager
async def four_services(
    directory: Path,
    rabbit: str,
    mongo: str,
    order: tuple[str, ...] = SERVICES,
    *,
    wait: bool = True,
    wheels: Path | None = None,
) -> AsyncIterator[Composition]:
    """Run the four services as separate processes, started in `order`; `wheels` is the programs' index."""
    port = free_port()
    whole = Composition(f"http://127.0.0.1:{port}")
    extra = {"gateway": {"port": str(port)}}
    if wheels is not None:
        # Its own place for what it makes: other executors on this host may be of another release.
        extra["executor"] = {"wheels": str(wheels), "environments": str(wheels.parent / "environments")}
    try:
        for name in order:
            process = service_process(name, directory, rabbit, mongo, settings=extra.get(name))
            whole.processes[name] = process
            await process.start()
        if wait:
            await whole.ready()
        yield whole
    finally:
        await asyncio.gather(*(each.stop() for each in whole.processes.values() if each.process))


def _with_token(directory: Path, token: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    token_file = directory / "token"
    if not token_file.exists():
        token_file.write_text(token)


@asynccontextmanager
async def standalone(directory: Path, *options: str, token: str = TOKEN) -> AsyncIterator[Composition]:
    """Run the single-process composition on a data directory."""
    port = free_port()
    _with_token(directory, token)
    process = Process(
        "standalone",
        [
            *(sys.executable, "-m", "qrt_standalone"),
            *("--data", str(directory), "--port", str(port), "--webhook-networks", LOOPBACK, *options),
        ],
        _clean_environ(),
        directory.parent / f"{directory.name}.log",
    )
    whole = Composition(f"http://127.0.0.1:{port}", {"standalone": process})
    try:
        await process.start()
        await whole.ready(token=token)
        yield whole
    finally:
        await process.stop()
