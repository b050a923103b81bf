"""`up`: the whole runtime on this machine, where it is installed."""

import importlib.util
import os
import signal
import subprocess
import sys

import click

from quafu_runtime_cli.endings import OK, USAGE, CommandFailed
from quafu_runtime_cli.state import State, common, pass_state

MODULE = "qrt_standalone"
_SERVING = "Serving on "
_KEPT = "(kept in "


@click.command(
    "up",
    short_help="Start a runtime on this machine.",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF THE RUNTIME]...")
@common
@pass_state
def up_command(state: State, options: tuple[str, ...]) -> int:
    """Start a runtime on this machine and serve until Ctrl-C.

    Options go to it as they are: --data DIRECTORY, --port NUMBER, --temporary, --slots NUMBER and so on;
    `quafu-runtime up -- --help` lists them.

    Where the runtime is not installed beside this command, get its source and run `make run` there.
    """
    if importlib.util.find_spec(MODULE) is None:
        raise CommandFailed(
            "NotInstalled",
            "the runtime itself is not installed here, only its client",
            "Get the runtime's source and run `make run` in it, or install qrt-standalone[embedded-mongo];\n"
            "or log in to a runtime elsewhere: quafu-runtime login URL",
            USAGE,
            "The runtime is not installed",
        )
    given = [each for each in options if each != "--"]
    command = [sys.executable, "-m", MODULE, *given]
    if not state.json:
        os.execv(sys.executable, command)  # noqa: S606 - our own interpreter
    return _with_json(state, command)


def _with_json(state: State, command: list[str]) -> int:
    """Run it, and tell where it serves as a JSON line."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as runtime:  # noqa: S603
        signal.signal(signal.SIGTERM, lambda *_: runtime.terminate())
        assert runtime.stdout is not None  # noqa: S101 - it is a pipe
        url = None
        while True:
            try:
                for line in runtime.stdout:
                    url = line.removeprefix(_SERVING).strip() if line.startswith(_SERVING) else url
                    if _KEPT in line:
                        file = line.partition(_KEPT)[2].rstrip().removesuffix(")")
                        state.line({"url": url, "token_file": file})
                return runtime.wait() or OK
            except KeyboardInterrupt:  # the runtime has heard it too, and is ending
                continue
