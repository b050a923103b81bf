"""`python -m qrt_standalone`: the whole runtime on this machine, with one command."""

import argparse
import asyncio
import os
import signal
import socket
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from pydantic import SecretStr, ValidationError

from qrt_chassis.lifecycle import run_async, serve, set_heap_aside
from qrt_chassis.logging import configure
from qrt_chassis.tracing import TracingMissing, traced
from qrt_standalone.embedded import EmbeddedDatabaseError
from qrt_standalone.run import (
    NO_HEALTH,
    OWNER,
    AlreadyRunningError,
    Standalone,
    compose,
    wait_until_reachable,
)
from qrt_standalone.settings import StandaloneSettings, default_data


def say(text: str) -> None:
    """Print for the person at the terminal, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def parse(argv: list[str]) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m qrt_standalone", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, default=default_data(), help="keep everything here (%(default)s)")
    add("--temporary", action="store_true", help="a throw-away data directory and a free port")
    add("--host", default="127.0.0.1", help="address to serve on (%(default)s)")
    add("--port", type=int, default=8000, help="port to serve on, 0 for any (%(default)s)")
    add("--mongo-url", help="a MongoDB server instead of the embedded one")
    add("--program-python", type=Path, default=_program_python(), help="interpreter for programs")
    add("--index-url", help="package index for programs; one with credentials: QRT_EXECUTOR_INDEX_URL")
    add("--wheels", type=Path, help="a folder of packages for programs, in place of any index")
    add("--allow-packages", default="", help="the only packages of programs, with commas between")
    add("--slots", type=int, help="jobs at once (one for each core)")
    add("--quafu-url", help="address of the Quafu cloud, whose devices jobs may use then")
    add("--public-url", help="how clients reach this runtime, where that is not its address here")
    add("--any-token", action="store_true", help="take any token for this runtime's own: development only")
    add(
        "--webhook-networks",
        default=os.environ.get("QRT_GATEWAY_WEBHOOK_NETWORKS", ""),
        help="networks that webhooks may be sent to besides public addresses, with commas between",
    )
    add("--engine", type=_engine, help="run container programs here, as unix:///var/run/docker.sock")
    add("--traces-url", help="where spans go, OTLP over HTTP; needs the extra qrt-chassis[tracing]")
    add("--log-level", default="WARNING", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    add("--demo", action="store_true", help="run the sample programs first")
    add("--exit", action="store_true", help="exit after the demo instead of serving")
    return parser.parse_args(argv)


def _engine(given: str) -> str:
    if not given.startswith("unix:///"):
        raise argparse.ArgumentTypeError("an engine's socket is needed, as unix:///var/run/docker.sock")
    return given


def _program_python() -> Path:
    return Path(os.environ.get("QRT_PROGRAM_PYTHON", Path(sys.prefix) / "programs" / "bin" / "python"))


def _index_url(option: str | None) -> SecretStr | None:
    """Return the address of the index: whoever lists processes sees options, so it may stand elsewhere."""
    given = option or os.environ.get("QRT_EXECUTOR_INDEX_URL")
    return SecretStr(given) if given else None


async def main(arguments: argparse.Namespace, data: Path) -> None:
    """Compose, serve, and run the demo if it is asked for; returns when asked to stop."""
    port = arguments.port
    if port == 0 or arguments.temporary:
        port = _free_port(arguments.host)
    settings = StandaloneSettings(
        data=data,
        host=arguments.host,
        port=port,
        mongo_url=arguments.mongo_url,
        program_python=arguments.program_python,
        slots=arguments.slots,
        log_level=arguments.log_level,
        public_url=arguments.public_url,
        any_token=arguments.any_token,
        quafu_url=arguments.quafu_url,
        engine=arguments.engine,
        index_url=_index_url(arguments.index_url),
        wheels=arguments.wheels,
        webhook_networks=tuple(filter(None, arguments.webhook_networks.replace(" ", "").split(","))),
        allow_packages=frozenset(filter(None, arguments.allow_packages.replace(" ", "").split(","))),
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if settings.any_token:
        say("ANY TOKEN IS ACCEPTED: whoever reaches this runtime is its owner. Local development only.")
    say(f"Starting the runtime; everything it keeps is in {data}")
    async with compose(settings) as whole, asyncio.TaskGroup() as group:
        set_heap_aside()
        group.create_task(serve(whole.services, health=NO_HEALTH, stop=stop))
        await wait_until_reachable(settings.host, settings.port)
        say(f"Serving on {whole.url}")
        try:
            if arguments.demo:
                await _demo(whole, stop)
            if not arguments.exit:
                say(_what_next(whole, settings))
                await stop.wait()
        finally:
            stop.set()


async def _demo(whole: Standalone, stop: asyncio.Event) -> None:
    environ = os.environ | {"QUAFU_RUNTIME_URL": whole.url, "QUAFU_RUNTIME_TOKEN": whole.token}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "qrt_standalone.demo", env=environ)
    async with asyncio.TaskGroup() as group:
        ended = group.create_task(process.wait())
        asked = group.create_task(stop.wait())
        await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if process.returncode is None:
            process.terminate()
    if process.returncode and not stop.is_set():
        raise SystemExit(process.returncode)


def _what_next(whole: Standalone, settings: StandaloneSettings) -> str:
    return f"""
The runtime is serving on {whole.url}
You are its administrator, the account {OWNER}.
Your token is {whole.token} (kept in {settings.token_file})

Open {whole.url}/console in a browser and sign in with it.

Try next, in another terminal:
  quafu-runtime login {whole.url} --token-stdin < {settings.token_file}
  quafu-runtime init bell && quafu-runtime upload bell && quafu-runtime run bell --watch
  export QUAFU_RUNTIME_URL={whole.url} QUAFU_RUNTIME_TOKEN=$(cat {settings.token_file})
  curl -H "Authorization: Bearer $QUAFU_RUNTIME_TOKEN" {whole.url}/v1/jobs

Stop it with Ctrl-C; the next start finds every program, job and result again."""


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def run() -> int:
    """Run the command; returns the exit code."""
    arguments = parse(sys.argv[1:])
    configure("standalone", arguments.log_level, json=False)
    with ExitStack() as stack:
        data = arguments.data
        if arguments.temporary:
            data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quafu-runtime-")))
        try:
            with traced("standalone", arguments.traces_url):
                run_async(main(arguments, data))
        except (AlreadyRunningError, EmbeddedDatabaseError, TracingMissing, OSError) as error:
            sys.stderr.write(f"{error}\n")
            return 1
        except ValidationError as error:
            sys.stderr.write("".join(f"{each['loc'][-1]}: {each['msg']}\n" for each in error.errors()))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(run())
