"""`login`, `logout`, `whoami`."""

import sys

import click

from quafu_runtime import Account, RuntimeService
from quafu_runtime import _calls_admin as calls
from quafu_runtime._client import is_loopback
from quafu_runtime_cli import profiles, tables
from quafu_runtime_cli.endings import usage
from quafu_runtime_cli.state import State, common, pass_state

MAX_TOKEN_CHARACTERS = 4096


@click.command("login", short_help="Keep a runtime's address and your token.")
@click.argument("url", required=False)
@click.option(
    "--token-stdin", is_flag=True, help="Read the token from standard input, not from the keyboard."
)
@common
@pass_state
def login_command(state: State, url: str | None, token_stdin: bool) -> None:
    """Keep a runtime's address and your token for it, so that every command finds them.

    The token is asked for without showing it, or read from standard input; never give it as an argument,
    which whoever lists processes can see. It is tried before it is kept, readable to you alone.

    The runtime of this machine leaves its first token in a file:

        quafu-runtime login --token-stdin < ~/.quafu-runtime/token
    """
    where = url or profiles.address(state.profile)
    account = Account(api_token=_token(where, from_stdin=token_stdin), url=where)
    state.url = account.get_url()
    with RuntimeService(account) as service:
        told = service.client.send(calls.whoami())
    name = state.profile or profiles.FIRST
    kept = profiles.keep(name, profiles.Profile(account.get_url(), account.get_token()))
    if account.get_url().startswith("http:") and not is_loopback(account.get_url()):
        state.say("Warning: without https, whoever is on the way can read the token.")
    if state.json:
        state.document(
            {"profile": name, "url": account.get_url(), "account": told["name"], "file": str(kept)}
        )
        return
    state.text(tables.cell(f"Logged in to {account.get_url()} as {told['name']}."))
    state.say(f"Kept as profile {name!r} in {kept}")


def _token(url: str, *, from_stdin: bool) -> str:
    if from_stdin:
        token = sys.stdin.read(MAX_TOKEN_CHARACTERS).strip()
    elif sys.stdin.isatty():
        token = click.prompt(f"Token for {url}", hide_input=True, err=True).strip()
    else:
        raise usage("there is no terminal to ask for the token", hint="Pipe it in: --token-stdin < FILE")
    if not token:
        raise usage("the token is empty")
    return token


@click.command("logout", short_help="Forget a login.")
@common
@pass_state
def logout_command(state: State) -> None:
    """Forget the address and the token of a profile. The token itself stays valid."""
    name = state.profile or profiles.FIRST
    forgotten = profiles.forget(name)
    if state.json:
        state.document({"profile": name, "forgotten": forgotten})
        return
    state.text(f"Forgot profile {name!r}." if forgotten else f"There is no profile {name!r}.")


@click.command("whoami", short_help="Show whose token is used, and what it may do.")
@common
@pass_state
def whoami_command(state: State) -> None:
    """Show whose token is used, for which runtime, and what it may do."""
    told = state.service.client.send(calls.whoami())
    if state.json:
        state.document({**told, "url": state.url})
        return
    token = told.get("token") or {}
    tables.facts(
        state,
        [
            ("runtime", state.url),
            ("account", told.get("name")),
            ("role", told.get("role") or ("admin" if told.get("admin") else "user")),
            ("groups", ", ".join(told.get("groups") or ())),
            ("scopes", ", ".join(told.get("scopes") or ())),
            ("token", token.get("name")),
            ("expires", tables.moment(token.get("expires_at"))),
        ],
    )
