"""`upload`, `push`, `programs`."""

from typing import Any

import click

from qrt_contracts.api_programs import ProgramView, VersionView
from qrt_contracts.values import BuildState
from quafu_runtime import Program
from quafu_runtime import _calls as calls
from quafu_runtime_cli import sources, tables
from quafu_runtime_cli.commands.follow import TIMEOUT
from quafu_runtime_cli.endings import usage
from quafu_runtime_cli.lookup import PROGRAM, find_program
from quafu_runtime_cli.state import State, common, pass_state
from quafu_runtime_cli.tables import Column

_BUILD = click.option("--no-wait", is_flag=True, help="Do not wait until what it requires is built.")


@click.command("upload", short_help="Upload a new program.")
@click.argument("path", required=False, type=click.Path(exists=True))
@click.option("--image", help="The name of a container's image, in place of PATH.")
@click.option("--name", help="What to call it; unless given, as planqk.json, the folder or the file says.")
@click.option("--kind", type=click.Choice(("quafu", "template", "container")), help="Unless PATH tells.")
@click.option("--description", help="What it does, for people.")
@click.option("--backend", help="Where its circuits run.")
@click.option("--public", "visibility", flag_value="public", help="Let every account run it.")
@click.option("--group", "groups", multiple=True, help="Share it with this group. May be repeated.")
@click.option(
    "--limit", "limits", multiple=True, metavar="NAME=NUMBER", help="As wall_seconds=600. May be repeated."
)
@click.option(
    "--max-attempts", type=click.IntRange(1, 20), help="How often it is started if executors are lost."
)
@_BUILD
@TIMEOUT
@common
@pass_state
def upload_command(
    state: State,
    /,
    path: str | None,
    image: str | None,
    no_wait: bool,
    timeout: float | None,
    **described: Any,
) -> None:
    """Upload a new program: a Python file, a folder, or an archive of one (zip, tar, tar.gz).

    A file with run(task, userpub, params), or a folder with program.py alone, is a Quafu program. A folder
    with src/program.py is a project, one with a Dockerfile a container; what they require is built before
    this returns, and the build's log is shown.
    """
    source = sources.source_of(path, image=image, kind=described["kind"], name=described["name"])
    fields = sources.fields_of(**described)
    client = state.service.client
    view = client.send(source.create(fields))
    _uploaded(state, Program.bound(view, client), view, wait=not no_wait, timeout=timeout)


@click.command("push", short_help="Upload a new version of a program.")
@click.argument("path", required=False, type=click.Path(exists=True))
@click.argument("program", required=False, type=PROGRAM)
@click.option("--image", help="The name of a container's image, in place of PATH.")
@click.option("--name", type=PROGRAM, help="The program, by name or id; as PROGRAM.")
@_BUILD
@TIMEOUT
@common
@pass_state
def push_command(
    state: State,
    path: str | None,
    program: str | None,
    image: str | None,
    name: str | None,
    no_wait: bool,
    timeout: float | None,
) -> None:
    """Upload a new version of a program. Jobs that run keep theirs.

    Unless PROGRAM is given, it is the one that planqk.json, the folder or the file is named after. What the
    newest version holds already makes no other.
    """
    source = sources.source_of(path, image=image, kind=None, name=program or name)
    if source.name is None:
        raise usage("which program is it a version of?", hint="quafu-runtime push PATH PROGRAM")
    program_id = find_program(state, source.name)
    client = state.service.client
    view = client.send(source.add(program_id))
    _uploaded(state, Program.bound(view, client), view, wait=not no_wait, timeout=timeout)


def _uploaded(
    state: State, program: Program, view: ProgramView, *, wait: bool, timeout: float | None
) -> None:
    """Tell what was uploaded, once it is built. Raises BuildFailed, BuildTimeout."""
    number = view.latest.number
    state.say(f"Uploaded {tables.cell(view.name)}, version {number} ({view.id})")
    if wait and view.latest.build.state is BuildState.BUILDING:
        if not state.json and timeout is None:
            for line in program.build_log(follow=True):
                state.say(f"  {tables.cell(line.rstrip())}")
        built = program.wait_for_build(timeout)
        view = view.model_copy(update={"latest": built})
    if state.json:
        state.document(view.model_dump(mode="json"))
        return
    state.text(f"{tables.cell(view.name)} v{number} {view.latest.build.state.value}")


@click.command("programs", short_help="List programs, or show one with its versions.")
@click.argument("program", required=False, type=PROGRAM)
@click.option(
    "--scope",
    type=click.Choice(("own", "visible", "all")),
    default="own",
    show_default=True,
    help="Your own, all that you may run, or everybody's (administrators).",
)
@click.option("--source", is_flag=True, help="Print the newest version's source.")
@common
@pass_state
def programs_command(state: State, program: str | None, scope: str, source: bool) -> None:
    """List programs, newest first; or show one of them with its versions."""
    if program is not None:
        _show(state, find_program(state, program), source=source)
        return
    if source:
        raise usage("--source needs a program")
    found = _all(state, scope)
    columns = (
        Column("NAME"),
        Column("KIND"),
        Column("VERSION", right=True),
        Column("BUILD"),
        Column("OWNER"),
        Column("SEEN BY"),
        Column("AGE", right=True),
        Column("ID", whole=scope != "own"),
    )
    rows = [
        (
            each.name,
            each.kind.value,
            each.latest.number,
            each.latest.build.state.value,
            each.owner,
            each.visibility.value,
            tables.age(each.updated_at),
            each.id,
        )
        for each in found
    ]
    empty = "No programs yet: quafu-runtime init NAME makes one, quafu-runtime upload brings it here."
    tables.listing(
        state, {"programs": [each.model_dump(mode="json") for each in found]}, columns, rows, empty=empty
    )


def _all(state: State, scope: str) -> list[ProgramView]:
    found: list[ProgramView] = []
    cursor: str | None = None
    while True:
        page = state.service.client.send(
            calls.list_programs(cursor=cursor, scope=None if scope == "own" else scope)
        )
        found += page.programs
        cursor = page.next_cursor
        if cursor is None:
            return found


def _show(state: State, program_id: str, *, source: bool) -> None:
    client = state.service.client
    view = client.send(calls.get_program(program_id))
    if source:
        _source(state, view)
        return
    versions = state.service.versions(program_id)
    if state.json:
        told = view.model_dump(mode="json")
        state.document({**told, "versions": [each.model_dump(mode="json") for each in versions]})
        return
    limits = view.limits.model_dump(exclude_none=True)
    tables.facts(
        state,
        [
            ("program", view.name),
            ("id", view.id),
            ("kind", view.kind.value),
            ("owner", view.owner),
            ("seen by", ", ".join((view.visibility.value, *view.groups))),
            ("description", view.description),
            ("backend", view.backend),
            ("limits", ", ".join(f"{name}={value:g}" for name, value in limits.items())),
            ("attempts", view.max_attempts),
            ("created", view.created_at),
        ],
    )
    state.text()
    columns = (
        Column("VERSION", right=True),
        Column("BUILD"),
        Column("AGE", right=True),
        Column("DIGEST"),
        Column("PROBLEM"),
    )
    tables.table(state, columns, [_version(each) for each in versions], empty="No versions.")


def _version(version: VersionView) -> tuple[object, ...]:
    problem = version.build.problem
    return (
        version.number,
        version.build.state.value,
        tables.age(version.created_at),
        version.bundle.sha256[:12],
        problem.detail.partition("\n")[0] if problem else "",
    )


def _source(state: State, view: ProgramView) -> None:
    if view.kind.value != "quafu":
        raise usage(
            f"{view.name} is no single source", hint="quafu-runtime programs --json NAME tells of it."
        )
    text = state.service.client.send(calls.get_source(view.id))
    if state.json:
        state.document({"program_id": view.id, "source": text})
        return
    from quafu_runtime._harmless import harmless

    state.text(harmless(text).rstrip("\n"))
