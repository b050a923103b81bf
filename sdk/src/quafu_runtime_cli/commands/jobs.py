"""`jobs`, `status`, `cancel`, `rm`."""

import click

from qrt_contracts.api import JobView
from qrt_contracts.states import JobState
from qrt_contracts.values import Usage
from quafu_runtime import _calls as calls
from quafu_runtime._harmless import harmless
from quafu_runtime_cli import tables
from quafu_runtime_cli.following import cancelled
from quafu_runtime_cli.lookup import JOB, PROGRAM, find_program
from quafu_runtime_cli.state import State, common, pass_state
from quafu_runtime_cli.tables import Column

COLUMNS = (
    Column("JOB", whole=True),
    Column("STATUS"),
    Column("PROGRAM"),
    Column("AGE", right=True),
    Column("TOOK", right=True),
    Column("TAGS"),
)


@click.command("jobs", short_help="List jobs, newest first.")
@click.option("--status", type=click.Choice([each.value for each in JobState], case_sensitive=False))
@click.option("--program", type=PROGRAM, metavar="PROGRAM", help="Only of this program, by name or id.")
@click.option("--tag", help="Only with this tag.")
@click.option(
    "--owner",
    type=click.Choice(("me", "shared", "all")),
    default="me",
    show_default=True,
    help="Your own, those shared with you, or everybody's (administrators).",
)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="The most to list.")
@click.option("--all", "everything", is_flag=True, help="List all, whatever the limit.")
@common
@pass_state
def jobs_command(
    state: State,
    status: str | None,
    program: str | None,
    tag: str | None,
    owner: str,
    limit: int,
    everything: bool,
) -> None:
    """List jobs, newest first."""
    program_id = None if program is None else find_program(state, program)
    found, more = _listed(
        state,
        limit=None if everything else limit,
        program_id=program_id,
        status=None if status is None else JobState(status.upper()),
        tag=tag,
        owner=None if owner == "me" else owner,
    )
    tables.listing(
        state,
        {"jobs": [each.model_dump(mode="json") for each in found], "more": more},
        COLUMNS,
        [_row(each) for each in found],
        empty="No jobs.",
    )
    if more:
        state.say(f"There are more: --limit {2 * limit}, or --all.")


def _listed(state: State, *, limit: int | None, **filters: object) -> tuple[list[JobView], bool]:
    """Return the newest jobs, over as many pages as it takes, and whether there are more."""
    found: list[JobView] = []
    cursor: str | None = None
    while True:
        size = calls.PAGE if limit is None else min(limit - len(found), calls.PAGE)
        page = state.service.client.send(calls.list_jobs(limit=size, cursor=cursor, **filters))  # type: ignore[arg-type]
        found += page.jobs
        cursor = page.next_cursor
        if cursor is None or (limit is not None and len(found) >= limit):
            return found, cursor is not None


def _row(view: JobView) -> tuple[object, ...]:
    took = "-"
    if view.started_at and view.ended_at:
        took = tables.duration((view.ended_at - view.started_at).total_seconds())
    name = f"{view.program.name} v{view.program.version}"
    return view.id, view.status.value, name, tables.age(view.created_at), took, " ".join(view.tags)


@click.command("status", short_help="Show how a job stands.")
@click.argument("job", type=JOB)
@common
@pass_state
def status_command(state: State, job: str) -> None:
    """Show how a job stands: where it is in the queue and why, its attempts, and why it has failed."""
    view = state.service.client.send(calls.get_job(job))
    if state.json:
        state.document(view.model_dump(mode="json"))
        return
    tables.facts(state, _facts(view))
    if view.problem and view.problem.traceback:
        state.text(harmless(view.problem.traceback.rstrip()))


def _facts(view: JobView) -> list[tuple[str, object]]:
    facts: list[tuple[str, object]] = [
        ("job", view.id),
        ("status", view.status.value),
        ("program", f"{view.program.name} v{view.program.version}"),
        ("owner", view.owner),
        ("backend", view.backend),
        ("tags", ", ".join(view.tags)),
        ("seed", view.seed),
    ]
    if view.queue is not None:
        facts += [
            ("place", view.queue.position),
            ("waits because", view.queue.reason),
            ("starts about", view.queue.estimated_start),
        ]
    facts += [
        ("attempt", view.attempt or None),
        ("isolation", view.isolation.value if view.isolation else None),
        ("created", view.created_at),
        ("started", view.started_at),
        ("ended", view.ended_at),
    ]
    if view.usage is not None:
        facts += _used(view.usage)
    facts += [("files", len(view.files) or None), ("cut short", view.partial or None)]
    if view.problem is not None:
        facts += [("problem", f"{view.problem.code}: {view.problem.detail}")]
    return facts


def _used(usage: Usage) -> list[tuple[str, object]]:
    cpu, memory = usage.cpu_seconds, usage.peak_memory_bytes
    return [
        ("ran", tables.duration(usage.wall_seconds)),
        ("processor", None if cpu is None else tables.duration(cpu)),
        ("memory", None if memory is None else tables.size(memory)),
        ("exit code", usage.exit_code),
        ("signal", usage.signal),
    ]


@click.command("cancel", short_help="Cancel jobs, and wait until they are dead.")
@click.argument("jobs", type=JOB, nargs=-1, required=True, metavar="JOB...")
@common
@pass_state
def cancel_command(state: State, jobs: tuple[str, ...]) -> None:
    """Cancel jobs, and wait until their programs are dead. What has ended stays as it is."""
    found = []
    for each in jobs:
        view = cancelled(state, each)
        found.append(view)
        if not state.json:
            state.text(f"{view.id}  {view.status.value}")
    if state.json:
        state.document({"jobs": [{"id": each.id, "status": each.status.value} for each in found]})


@click.command("rm", short_help="Delete ended jobs, or programs.")
@click.argument("names", nargs=-1, required=True, metavar="JOB...")
@click.option("--program", "programs", is_flag=True, help="Delete programs, by name or id, in place of jobs.")
@common
@pass_state
def rm_command(state: State, names: tuple[str, ...], programs: bool) -> None:
    """Delete ended jobs with their results and outputs; with --program, programs.

    A program's jobs go on without it and keep their results.
    """
    client = state.service.client
    for each in names:
        if programs:
            client.send(calls.delete_program(find_program(state, each)))
        else:
            client.send(calls.delete_job(each))
        if not state.json:
            state.text(f"Deleted {tables.cell(each)}")
    if state.json:
        state.document({"deleted": list(names)})
