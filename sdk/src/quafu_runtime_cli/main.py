"""`quafu-runtime`: finds the subcommand, runs it, and tells how it ended."""

import importlib
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from quafu_runtime_cli.endings import (
    BROKEN_PIPE,
    INTERRUPTED,
    OK,
    USAGE,
    CommandFailed,
    usage,
)
from quafu_runtime_cli.state import State, common

COMMANDS: dict[str, tuple[str, str]] = {
    "login": ("account", "Keep a runtime's address and your token."),
    "logout": ("account", "Forget a login."),
    "whoami": ("account", "Show whose token is used, and what it may do."),
    "up": ("up", "Start a runtime on this machine."),
    "init": ("init", "Make a folder with a new program in it."),
    "upload": ("programs", "Upload a new program."),
    "push": ("programs", "Upload a new version of a program."),
    "programs": ("programs", "List programs, or show one with its versions."),
    "edit": ("edit", "Change who may see a program, and what describes it."),
    "run": ("run", "Run a program."),
    "jobs": ("jobs", "List jobs, newest first."),
    "status": ("jobs", "Show how a job stands."),
    "watch": ("follow", "Follow a job: its log, interim results and progress."),
    "logs": ("follow", "Print what a job has printed."),
    "result": ("results", "Print what a job has returned."),
    "files": ("results", "List the files that a job has left."),
    "download": ("results", "Fetch files that a job has left."),
    "cancel": ("jobs", "Cancel jobs, and wait until they are dead."),
    "rm": ("jobs", "Delete ended jobs, or programs."),
    "backends": ("backends", "List where circuits can run."),
    "admin": ("admin", "Users, groups, tokens, executors: for administrators."),
    "completion": ("completion", "Print what makes a shell complete this command."),
}
"""Each subcommand's module, and what it does in one line."""


class Subcommands(click.Group):
    """A group whose commands are imported when they are called, so that none waits for all."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order in which one needs them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of a name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"quafu_runtime_cli.commands.{COMMANDS[cmd_name][0]}")
        found: click.Command = getattr(module, f"{cmd_name}_command")
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, short) for name, (_, short) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; of an unknown one, say which it may have been."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            ctx.fail(f"There is no command {name!r}.{_nearest(name)}")
        return super().resolve_command(ctx, args)


def _nearest(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, COMMANDS, n=3)
    return f" Did you mean {' or '.join(near)}?" if near else ""


@click.group(
    cls=Subcommands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Every command has --help. The reference is docs/cli.md.",
)
@common
@click.version_option(package_name="quafu-runtime", prog_name="quafu-runtime")
def cli() -> None:
    """Run hybrid quantum-classical programs on a quafu-runtime."""


def main() -> None:
    """Run the command and exit with its code."""
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = BROKEN_PIPE
    if code == BROKEN_PIPE:  # the interpreter flushes once more when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run the command; return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace", line_buffering=True)
    state = State()
    state.json = "--json" in arguments  # also of a command line that cannot be read
    try:
        return _exit_code(
            cli.main(list(arguments), prog_name="quafu-runtime", standalone_mode=False, obj=state)
        )
    except BrokenPipeError:
        return BROKEN_PIPE
    except (KeyboardInterrupt, click.Abort):
        state.say("")
        return INTERRUPTED
    except click.ClickException as exc:
        return _told(state, _of_click(exc))
    except CommandFailed as failure:
        return _told(state, failure)
    except OSError as exc:
        return _told(state, usage(str(exc)))
    except Exception as exc:
        from quafu_runtime import errors
        from quafu_runtime_cli.explain import failure_of

        if not isinstance(exc, errors.QuafuRuntimeError):
            raise
        return _told(state, failure_of(exc, url=state.url))


def _exit_code(returned: Any) -> int:
    return returned if isinstance(returned, int) else OK


def _of_click(exc: click.ClickException) -> CommandFailed:
    context = exc.ctx if isinstance(exc, click.UsageError) else None
    hint = f"See: {context.command_path} --help" if context else None
    return CommandFailed("Usage", exc.format_message(), hint, USAGE, "The command was given something wrong")


def _told(state: State, failure: CommandFailed) -> int:
    from quafu_runtime._harmless import harmless, harmless_json

    if state.json:
        text = harmless_json(json.dumps(failure.document(), ensure_ascii=False))
    else:
        head = click.style("Error:", fg="red", bold=True) if _colours() else "Error:"
        trace = (failure.problem or {}).get("traceback")
        text = f"{head} {harmless(failure.detail)}"
        text += f"\n{harmless(trace).rstrip()}" if trace else ""
        text += f"\n{harmless(failure.hint)}" if failure.hint else ""
    sys.stderr.write(text + "\n")
    return failure.exit_code


def _colours() -> bool:
    return sys.stderr.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


if __name__ == "__main__":
    main()
