"""`admin executors`, `drain`, `undrain`, `dead-letters`, `audit`: the runtime itself."""

import json
from typing import Any

import click

from quafu_runtime import _calls_admin as calls
from quafu_runtime_cli import tables
from quafu_runtime_cli.endings import usage
from quafu_runtime_cli.state import State, common, pass_state
from quafu_runtime_cli.tables import Column

MOST_LETTERS = 10_000
"""Letters among which one is looked for."""


@click.command("executors")
@common
@pass_state
def executors(state: State) -> None:
    """List the executors: their slots, what they run, how they isolate it."""
    told = state.service.client.send(calls.list_executors())
    columns = (
        Column("NAME"),
        Column("SLOTS", right=True),
        Column("RUNNING", right=True),
        Column("ISOLATION"),
        Column("DRAINING"),
        Column("KINDS"),
        Column("BACKENDS"),
    )
    rows = [
        (
            each["name"],
            each["slots"],
            each["running"],
            each["isolation"],
            each["draining"],
            ", ".join(each["kinds"]),
            ", ".join(each["backends"]),
        )
        for each in told["executors"]
    ]
    tables.listing(state, told, columns, rows, empty="No executor is here.")


@click.command("drain")
@click.argument("executor")
@common
@pass_state
def drain(state: State, executor: str) -> None:
    """Have an executor take no more work; what it runs goes on."""
    _drain(state, executor, undo=False)


@click.command("undrain")
@click.argument("executor")
@common
@pass_state
def undrain(state: State, executor: str) -> None:
    """Have an executor take work again."""
    _drain(state, executor, undo=True)


def _drain(state: State, executor: str, *, undo: bool) -> None:
    told = state.service.client.send(calls.drain(executor, undo=undo))
    if state.json:
        state.document({"name": executor, "draining": not undo, **told})
        return
    state.text(tables.cell(f"{executor} takes {'work again' if undo else 'no more work'}"))


@click.command("dead-letters")
@click.argument("queue", required=False)
@click.option("--replay", metavar="ID", help="Put this letter of QUEUE back where it was meant to go.")
@click.option("--replay-all", is_flag=True, help="Put up to --limit letters of QUEUE back.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="The most letters."
)
@common
@pass_state
def dead_letters(state: State, queue: str | None, replay: str | None, replay_all: bool, limit: int) -> None:
    """List the queues of messages that could not be handled, the letters of one of them, or replay some."""
    if queue is None:
        if replay or replay_all:
            raise usage(
                "which queue are they in?", hint="quafu-runtime admin dead-letters QUEUE --replay-all"
            )
        _queues(state)
    elif replay or replay_all:
        among = limit if replay is None else MOST_LETTERS
        told = state.service.client.send(calls.replay_dead_letters(queue, message_id=replay, limit=among))
        if state.json:
            state.document(told)
        else:
            state.text(f"Replayed {told['replayed']}")
    else:
        _letters(state, queue, limit)


def _queues(state: State) -> None:
    told = state.service.client.send(calls.list_dead_letters())
    rows = [(each["queue"], each["letters"]) for each in told["queues"]]
    tables.listing(
        state, told, (Column("QUEUE"), Column("LETTERS", right=True)), rows, empty="No dead letters."
    )


def _letters(state: State, queue: str, limit: int) -> None:
    told = state.service.client.send(calls.read_dead_letters(queue, limit=limit))
    columns = (
        Column("ID", whole=True),
        Column("REASON"),
        Column("DIED"),
        Column("SCHEMA"),
        Column("ERROR"),
        Column("BODY"),
    )
    rows = [_letter(each) for each in told["letters"]]
    tables.listing(state, told, columns, rows, empty="No dead letters.")


def _letter(letter: dict[str, Any]) -> tuple[Any, ...]:
    body = letter.get("body")
    return (
        letter.get("message_id"),
        letter.get("reason"),
        tables.moment(letter.get("died_at")),
        letter.get("schema"),
        letter.get("error"),
        body if isinstance(body, str) else json.dumps(body),
    )


@click.command("audit")
@click.option("--account", help="Only what this account did.")
@click.option("--action", help="Only this action.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="The most entries.")
@common
@pass_state
def audit(state: State, account: str | None, action: str | None, limit: int) -> None:
    """List what was changed and what was refused, newest first."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while len(found) < limit:
        call = calls.list_audit(
            account=account, action=action, limit=min(limit - len(found), 200), cursor=cursor
        )
        told = state.service.client.send(call)
        found += told["entries"]
        cursor = told.get("next_cursor")
        if cursor is None:
            break
    columns = (
        Column("AT"),
        Column("ACCOUNT"),
        Column("ACTION"),
        Column("RESOURCE"),
        Column("OUTCOME"),
        Column("ADDRESS"),
        Column("TOKEN"),
    )
    names = ("account", "action", "resource", "outcome", "address", "token")
    rows = [(tables.moment(each["at"]), *(each.get(name) for name in names)) for each in found]
    tables.listing(state, {"entries": found}, columns, rows, empty="Nothing yet.")


COMMANDS = (executors, drain, undrain, dead_letters, audit)
