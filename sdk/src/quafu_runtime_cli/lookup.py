"""Finding the program that somebody means, and completing names and ids in a shell."""

import difflib
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from quafu_runtime_cli.endings import CommandFailed, usage
from quafu_runtime_cli.state import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from quafu_runtime import RuntimeService

MANY = 50
"""Names and ids that a shell is told of."""


def find_program(state: State, given: str) -> str:
    """Return the id of the program of an id or of a name: the caller's own, or else one that is shared.

    Raises:
        CommandFailed: there is none, and names that are near are told; or there are several.
    """
    from qrt_contracts.ids import plain
    from quafu_runtime import _calls as calls

    if (found := plain(given)) is not None:
        return found
    client = state.service.client
    for scope in (None, "visible"):
        named = client.send(calls.list_programs(name=given, scope=scope)).programs
        if len(named) > 1:
            owners = ", ".join(f"{each.owner} ({each.id})" for each in named)
            raise usage(f"several are named {given!r}, of {owners}", hint="Name one by its id.")
        if named:
            return named[0].id
    raise unknown_program(given, [program.name for program in state.service.programs(limit=None)])


def unknown_program(given: str, names: list[str]) -> CommandFailed:
    """Return the failure of a command that names a program which is not there."""
    near = difflib.get_close_matches(given, names, n=3, cutoff=0.5)
    if near:
        hint = f"Did you mean {' or '.join(near)}?"
    elif names:
        hint = f"You have {', '.join(names[:10])}{' and more' if len(names) > 10 else ''}."
    else:
        hint = "You have no programs: quafu-runtime init NAME makes one, quafu-runtime upload NAME sends it."
    return CommandFailed("NotFound", f"you have no program named {given!r}", hint, title="Not found")


def _state_of(context: click.Context) -> State:
    state = State()
    named = context.params.get("profile") or (
        context.parent.params.get("profile") if context.parent else None
    )
    state.profile = named
    return state


def _begun(
    context: click.Context, begun: str, known: "Callable[[RuntimeService], list[CompletionItem]]"
) -> list[CompletionItem]:
    """Return what the runtime knows that begins so; nothing where there is no answer."""
    from quafu_runtime.errors import QuafuRuntimeError

    try:
        items = known(_state_of(context).service)
    except (QuafuRuntimeError, CommandFailed):
        return []
    return [item for item in items if item.value.startswith(begun)][:MANY]


class ProgramName(click.ParamType[str]):
    """A program's name or id, completed by asking the runtime."""

    name = "program"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the names that begin so."""
        del param
        return _begun(
            ctx,
            incomplete,
            lambda service: [CompletionItem(program.name) for program in service.programs(limit=None)],
        )


class JobId(click.ParamType[str]):
    """A job's id, completed by asking the runtime for the newest ones."""

    name = "job"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the ids that begin so."""
        del param
        return _begun(
            ctx,
            incomplete,
            lambda service: [
                CompletionItem(job.id, help=job.program.name) for job in service.jobs(limit=MANY)
            ],
        )


PROGRAM = ProgramName()
JOB = JobId()
