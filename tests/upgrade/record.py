"""Record a release: `scripts/record-release CHECKOUT [VERSION]`.

Starts the four services of a checkout on a RabbitMQ and an embedded database of their own, has them make
one of everything, and keeps their databases, one message of every kind and the schemas of their contracts
in tests/upgrade/VERSION.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aio_pika

from tests.support.mongo import MongoServer
from tests.support.processes import free_port
from tests.support.rabbit import RabbitNode
from tests.support.receiving import receiving
from tests.support.wheels import PYDANTIC, installed, wheel
from tests.system.composition import SEALING_KEY, SERVICES, Composition, Process, service_process
from tests.upgrade import making, recording
from tests.upgrade.listening import listening
from tests.upgrade.recording import Heard, Recording

SCHEMAS = """
import json
from qrt_contracts import commands, events
from qrt_contracts.message import Message

def below(kind):
    for each in kind.__subclasses__():
        yield each
        yield from below(each)

found = {}
for each in below(Message):
    if getattr(each, "schema_name", None) is None:
        continue
    found[f"{each.schema_name} v{each.schema_version}"] = each.model_json_schema()
    if getattr(each, "reply_type", None) is not None:
        found[f"{each.schema_name} v{each.schema_version} reply"] = each.reply_type.model_json_schema()
print(json.dumps(found))
"""
"""Run by the release's own interpreter: what it takes for valid."""


@dataclass(frozen=True)
class Checkout:
    """A release's files, with its `.venv` made by its own `make .venv/ready`."""

    path: Path

    @property
    def python(self) -> Path:
        return self.path / ".venv" / "bin" / "python"

    @property
    def version(self) -> str:
        manifest = tomllib.loads((self.path / "packages/contracts/pyproject.toml").read_text())
        return str(manifest["project"]["version"]).partition(".dev")[0]

    def prepare(self) -> None:
        subprocess.run(["make", "-s", ".venv/ready"], cwd=self.path, check=True, stdout=sys.stderr)

    def commit(self) -> str:
        asked = ["git", "log", "-1", "--format=%h %cs %s"]
        return subprocess.run(asked, cwd=self.path, check=True, capture_output=True, text=True).stdout.strip()

    def process(self, name: str, directory: Path, rabbit: str, mongo: str, **settings: str) -> Process:
        made = service_process(name, directory, rabbit, mongo, settings=settings)
        made.argv[0] = str(self.python)
        made.environ = {key: value for key, value in made.environ.items() if self._knows(name, key)}
        if name == "executor":
            programs = self.path / ".venv/programs/bin/python"
            made.environ["QRT_EXECUTOR_PROGRAM_PYTHON"] = str(programs)
        if name == "gateway":
            made.environ["QRT_GATEWAY_BOOTSTRAP_TOKENS"] = making.BOOTSTRAP
        return made

    def _knows(self, name: str, variable: str) -> bool:
        """Tell whether this release has a setting: one that it does not know ends it."""
        if variable != "QRT_GATEWAY_WEBHOOK_NETWORKS":
            return True
        settings = self.path / f"services/{name}/src/qrt_{name}/settings.py"
        return "webhook_networks" in settings.read_text()

    def schemas(self) -> str:
        asked = [str(self.python), "-c", SCHEMAS]
        return subprocess.run(asked, check=True, capture_output=True, text=True).stdout


@asynccontextmanager
async def engines(directory: Path) -> AsyncIterator[tuple[RabbitNode, MongoServer]]:
    """Run a broker and a database."""
    rabbit, mongo = RabbitNode(directory / "rabbit"), MongoServer(directory / "mongo")
    try:
        rabbit.start()
        mongo.start()
        yield rabbit, mongo
    finally:
        mongo.remove()
        rabbit.remove()


@asynccontextmanager
async def running(
    checkout: Checkout, directory: Path, rabbit: str, mongo: str, wheels: Path
) -> AsyncIterator[Composition]:
    """Run a checkout's four services."""
    port = free_port()
    whole = Composition(f"http://127.0.0.1:{port}")
    extra = {
        "gateway": {"port": str(port)},
        "executor": {
            "wheels": str(wheels),
            "environments": str(directory / "environments"),
            "slots": str(making.SLOTS),
            "grace_seconds": "1",
        },
    }
    try:
        for name in SERVICES:
            process = checkout.process(name, directory, rabbit, mongo, **extra.get(name, {}))
            whole.processes[name] = process
            await process.start()
        await whole.ready(token=making.ALICE)
        yield whole
    except BaseException:
        for each in whole.processes.values():
            sys.stderr.write(f"--- {each.name}\n{each.logged()[-4000:]}\n")
        raise
    finally:
        await asyncio.gather(*(each.stop() for each in whole.processes.values() if each.process))


@contextmanager
def folders() -> Iterator[tuple[Path, Path]]:
    """Yield a directory that the programs' user can reach, and in it one of packages."""
    with tempfile.TemporaryDirectory(prefix="qrt-record-") as name:
        directory, wheels = Path(name), Path(name, "wheels")
        directory.chmod(0o755)
        wheels.mkdir(mode=0o755)
        installed(wheels, *PYDANTIC)
        wheel(wheels, "plain", {"plain.py": "VALUE = 1\n"})
        yield directory, wheels


async def record(checkout: Checkout, version: str) -> Recording:
    """Return what a release leaves behind."""
    async with AsyncExitStack() as stack:
        directory, wheels = stack.enter_context(folders())
        rabbit, mongo = await stack.enter_async_context(engines(directory))
        heard = await stack.enter_async_context(listening(rabbit, rabbit.url))
        hooks = await stack.enter_async_context(receiving())
        whole = await stack.enter_async_context(running(checkout, directory, rabbit.url, mongo.url, wheels))
        made = await stack.enter_async_context(making.making(whole.url))
        await made.everything(hooks.url)
        await _break_a_letter(rabbit.url)
        await made.standing()
        before = len(heard)
        databases = await _dumped_still(whole, mongo.url)
        await made.endings()
        facts = {"version": version, "commit": checkout.commit(), "sealing_key": SEALING_KEY, **made.facts}
    return Recording(
        facts=facts,
        databases=databases,
        kinds=one_of_each(heard[:before]),
        after=one_of_each(heard[before:], keep=_about(facts["jobs"])),
    )


async def _dumped_still(whole: Composition, mongo: str) -> recording.Dump:
    """Dump the databases while nobody but the programs goes on."""
    still = [whole.processes[name] for name in ("gateway", "registry", "scheduler", "executor")]
    for each in still:
        each.signal(signal.SIGSTOP)
    try:
        return await asyncio.to_thread(recording.dump, mongo)
    finally:
        for each in still:
            each.signal(signal.SIGCONT)


async def _break_a_letter(url: str) -> None:
    """Publish what no release can read, for a dead letter."""
    async with await aio_pika.connect(url, timeout=10) as connection:
        channel = await connection.channel()
        events = await channel.get_exchange("qrt.events", ensure=False)
        letter = aio_pika.Message(
            b'{"job_id": 1}', headers={"schema": "job.submitted", "schema-version": 1}, message_id="broken"
        )
        await events.publish(letter, "job.broken.submitted")


def one_of_each(heard: Iterable[Heard], *, keep: Iterable[str] = ()) -> list[Heard]:
    """Return the first message of each kind and variant, and all those of `keep`'s jobs."""
    found, seen, kept = [], set(), set(keep)
    for each in heard:
        variant = _variant(each)
        if variant not in seen or (each.schema in _TOLD and str(each.data.get("job_id")) in kept):
            seen.add(variant)
            found.append(each)
    return found


_TOLD = {"job.output", "job.attempt_finished", "job.changed", "work.run_attempt"}


def _about(jobs: dict[str, str]) -> list[str]:
    return [identifier for name, identifier in jobs.items() if name.startswith(("running", "queued"))]


def _variant(heard: Heard) -> tuple[object, ...]:
    kind = "reply" if heard.is_reply else heard.exchange
    dead = "dead-reason" in heard.headers
    data = heard.data if heard.body.startswith(b"{") else {}
    told: list[object] = [data.get("end"), data.get("status"), data.get("draining"), data.get("leaving")]
    told += ["problem" in data, bool(data.get("problem")), bool(data.get("running")), bool(data.get("files"))]
    told += [(data.get("run") or {}).get("kind"), bool(data.get("confidential"))]
    told += sorted({str(each.get("kind")) for each in data.get("outputs") or []})
    return (kind, heard.schema, heard.headers.get("schema-version"), dead, *told)


def main() -> None:
    """Record the release that a checkout holds."""
    parser = argparse.ArgumentParser(prog="scripts/record-release", description=__doc__)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("version", nargs="?", help="unless given, the version of its distributions")
    asked = parser.parse_args()
    checkout = Checkout(asked.checkout.resolve())
    checkout.prepare()
    made = asyncio.run(record(checkout, asked.version or checkout.version))
    made.schemas.update(json.loads(checkout.schemas()))
    folder = recording.write(made)
    sizes = {each.name: each.stat().st_size for each in sorted(folder.iterdir())}
    sys.stdout.write(f"{os.path.relpath(folder)}: {sizes}\n")


if __name__ == "__main__":
    main()
