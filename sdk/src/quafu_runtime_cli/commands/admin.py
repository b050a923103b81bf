"""`admin`: users, groups and tokens; `admin_runtime` has the runtime's own."""

from collections.abc import Callable
from typing import Any

import click

from quafu_runtime import _calls_admin as calls
from quafu_runtime._wire import Call
from quafu_runtime_cli import tables
from quafu_runtime_cli.commands import admin_runtime
from quafu_runtime_cli.endings import usage
from quafu_runtime_cli.state import State, common, pass_state
from quafu_runtime_cli.tables import Column

ROLES = click.Choice(("admin", "user", "viewer"))
SCOPES = click.Choice(("read", "run", "write", "admin"))


@click.group("admin", short_help="Users, groups, tokens, executors: for administrators.")
@common
def admin_command() -> None:
    """Users, groups, tokens, executors, dead letters and the audit log.

    Most of it needs an administrator's token; tokens of one's own do not.
    """


def paged(
    state: State, page: Callable[[str | None], Call[dict[str, Any]]], what: str
) -> list[dict[str, Any]]:
    """Return all entries of a list that comes in pages."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        told = state.service.client.send(page(cursor))
        found += told[what]
        cursor = told.get("next_cursor")
        if cursor is None:
            return found


# --- users ----------------------------------------------------------------------------------------


@admin_command.group("users", invoke_without_command=True)
@common
@pass_state
@click.pass_context
def users(context: click.Context, state: State) -> None:
    """List accounts; the commands below make and change them."""
    if context.invoked_subcommand is not None:
        return
    found = paged(state, lambda cursor: calls.list_accounts(cursor=cursor), "accounts")
    columns = (Column("NAME"), Column("ROLE"), Column("GROUPS"), Column("DISABLED"), Column("CREATED"))
    rows = [
        (
            each["name"],
            each["role"],
            ", ".join(each["groups"]),
            each["disabled"],
            tables.moment(each["created_at"]),
        )
        for each in found
    ]
    tables.listing(state, {"accounts": found}, columns, rows, empty="No accounts.")


@users.command("add")
@click.argument("name")
@click.option("--role", type=ROLES, default="user", show_default=True)
@click.option("--group", "groups", multiple=True, help="A group to put it into. May be repeated.")
@common
@pass_state
def users_add(state: State, name: str, role: str, groups: tuple[str, ...]) -> None:
    """Make an account, and print its first token, which is shown this once."""
    issued = state.service.client.send(calls.create_account(name, role=role, groups=list(groups) or None))
    _issued(state, issued, f"Made the account {name}. Its first token, shown this once:")


@users.command("set")
@click.argument("name")
@click.option("--role", type=ROLES)
@click.option("--disable/--enable", "disabled", default=None, help="Let its tokens in no more, or again.")
@common
@pass_state
def users_set(state: State, name: str, role: str | None, disabled: bool | None) -> None:
    """Give an account another role, or let it in no more, or again."""
    if role is None and disabled is None:
        raise usage("nothing to change was given", hint="Give --role, --disable or --enable.")
    told = state.service.client.send(calls.change_account(name, role=role, disabled=disabled))
    _done(state, told, f"{name}: {told.get('role')}{', disabled' if told.get('disabled') else ''}")


# --- groups ---------------------------------------------------------------------------------------


@admin_command.group("groups", invoke_without_command=True)
@common
@pass_state
@click.pass_context
def groups(context: click.Context, state: State) -> None:
    """List groups with their members; the commands below make and change them."""
    if context.invoked_subcommand is not None:
        return
    listed = paged(state, lambda cursor: calls.list_groups(cursor=cursor), "groups")
    rows = [
        (each["name"], ", ".join(each.get("members") or ()), tables.moment(each["created_at"]))
        for each in listed
    ]
    tables.listing(
        state,
        {"groups": listed},
        (Column("NAME"), Column("MEMBERS"), Column("CREATED")),
        rows,
        empty="No groups.",
    )


@groups.command("add")
@click.argument("group")
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...")
@common
@pass_state
def groups_add(state: State, group: str, accounts: tuple[str, ...]) -> None:
    """Make a group, or, with accounts, put them into one that there is."""
    client = state.service.client
    if not accounts:
        _done(state, client.send(calls.create_group(group)), f"Made the group {group}")
        return
    for each in accounts:
        client.send(calls.add_member(group, each))
    _done(state, client.send(calls.get_group(group)), f"{group}: added {', '.join(accounts)}")


@groups.command("remove")
@click.argument("group")
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...")
@common
@pass_state
def groups_remove(state: State, group: str, accounts: tuple[str, ...]) -> None:
    """Delete a group, or, with accounts, take them out of it."""
    client = state.service.client
    if not accounts:
        client.send(calls.delete_group(group))
        _done(state, {"name": group, "deleted": True}, f"Deleted the group {group}")
        return
    for each in accounts:
        client.send(calls.remove_member(group, each))
    _done(state, client.send(calls.get_group(group)), f"{group}: removed {', '.join(accounts)}")


# --- tokens ---------------------------------------------------------------------------------------

ACCOUNT = click.option("--account", help="Of this account in place of your own.")


@admin_command.group("tokens", invoke_without_command=True)
@ACCOUNT
@common
@pass_state
@click.pass_context
def tokens(context: click.Context, state: State, account: str | None) -> None:
    """List tokens, your own unless --account names another; the commands below make and revoke them."""
    if context.invoked_subcommand is not None:
        context.default_map = {context.invoked_subcommand: {"account": account}}
        return
    found = state.service.client.send(calls.list_tokens(account))["tokens"]
    columns = (
        Column("ID", whole=True),
        Column("NAME"),
        Column("SCOPES"),
        Column("EXPIRES"),
        Column("LAST USED"),
        Column("REVOKED"),
    )
    rows = [
        (
            each["id"],
            each["name"],
            " ".join(each.get("scopes") or ()) or "all",
            tables.moment(each["expires_at"]),
            tables.moment(each.get("last_used_at")),
            tables.moment(each["revoked_at"]),
        )
        for each in found
    ]
    tables.listing(state, {"tokens": found}, columns, rows, empty="No tokens.")


@tokens.command("create")
@click.argument("name")
@ACCOUNT
@click.option(
    "--scope", "scopes", multiple=True, type=SCOPES, help="What it may do; all unless given. Repeatable."
)
@click.option("--expires", metavar="TIME", help="When it ends, as 2027-01-31T00:00:00Z.")
@click.option("--requests-per-second", type=click.FloatRange(0, min_open=True), help="Below the operator's.")
@common
@pass_state
def tokens_create(
    state: State,
    name: str,
    account: str | None,
    scopes: tuple[str, ...],
    expires: str | None,
    requests_per_second: float | None,
) -> None:
    """Make a token, and print it; it is shown this once."""
    call = calls.create_token(
        account,
        name=name,
        scopes=list(scopes) or None,
        expires_at=expires,
        requests_per_second=requests_per_second,
    )
    _issued(state, state.service.client.send(call), f"Made the token {name}, shown this once:")


@tokens.command("revoke")
@click.argument("token_id", metavar="ID")
@ACCOUNT
@common
@pass_state
def tokens_revoke(state: State, token_id: str, account: str | None) -> None:
    """Make a token worthless, by its id."""
    state.service.client.send(calls.revoke_token(account, token_id))
    _done(state, {"id": token_id, "revoked": True}, f"Revoked {token_id}")


def _issued(state: State, issued: dict[str, Any], said: str) -> None:
    if state.json:
        state.document(issued)
        return
    state.say(tables.cell(said))
    state.text(tables.cell(issued["token"]))


def _done(state: State, told: dict[str, Any], said: str) -> None:
    if state.json:
        state.document(told)
    else:
        state.text(tables.cell(said))


for each in admin_runtime.COMMANDS:
    admin_command.add_command(each)
