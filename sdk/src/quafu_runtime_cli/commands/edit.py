"""`edit`: what describes a program."""

from typing import Any

import click

from quafu_runtime import _calls as calls
from quafu_runtime_cli import sources, tables
from quafu_runtime_cli.endings import usage
from quafu_runtime_cli.lookup import PROGRAM, find_program
from quafu_runtime_cli.state import State, common, pass_state


@click.command("edit", short_help="Change who may see a program, and what describes it.")
@click.argument("program", type=PROGRAM)
@click.option(
    "--visibility", type=click.Choice(("private", "group", "public")), help="Who may see it and run it."
)
@click.option("--public", "visibility", flag_value="public", help="Let every account run it.")
@click.option("--private", "visibility", flag_value="private", help="Share it with nobody.")
@click.option(
    "--group", "groups", multiple=True, help="Share it with this group, and those alone. May be repeated."
)
@click.option("--name", help="What to call it from now on.")
@click.option("--description", help="What it does, for people.")
@click.option("--backend", help="Where its circuits run.")
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="NAME=NUMBER",
    help="As wall_seconds=600, in place of all its limits. May be repeated.",
)
@click.option(
    "--max-attempts", type=click.IntRange(1, 20), help="How often it is started if executors are lost."
)
@common
@pass_state
def edit_command(state: State, /, program: str, name: str | None, **described: Any) -> None:
    """Change who may see a program, and what describes it. What is not given stays as it is.

    Jobs that were submitted before keep the limits that they had. For a new version there is push.
    """
    fields = sources.fields_of(**described) | ({} if name is None else {"name": name})
    if not fields:
        raise usage("nothing to change", hint="For example: quafu-runtime edit PROGRAM --group lab")
    view = state.service.client.send(calls.update_program(find_program(state, program), fields))
    if state.json:
        state.document(view.model_dump(mode="json"))
        return
    seen_by = ", ".join((view.visibility.value, *view.groups))
    state.text(f"{tables.cell(view.name)} seen by {tables.cell(seen_by)}")
