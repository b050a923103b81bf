"""Requests of administrators, and of accounts about themselves: answers come as they are, as JSON data."""

import json
from typing import Any, Literal
from urllib.parse import quote

from quafu_runtime import errors
from quafu_runtime._wire import Call, Repeat, Reply, Request, to_json

Json = dict[str, Any]
_Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


def _reads_json(reply: Reply) -> Json:
    if not reply.body:
        return {}
    try:
        found = json.loads(reply.body)
    except ValueError as exc:
        raise errors.InvalidReply(f"the answer is not JSON: {exc}") from exc
    if not isinstance(found, dict):
        raise errors.InvalidReply("the answer is not a JSON object")
    return found


def _call(
    method: _Method, path: str, *parts: str, query: Json | None = None, body: Json | None = None
) -> Call[Json]:
    """Return a request; `parts` of its path may hold anything. Only what makes something new is unsafe."""
    where = "/".join([path, *(quote(each, safe="") for each in parts)])
    given = {key: str(value) for key, value in (query or {}).items() if value is not None}
    content = None if body is None else to_json(body, what="request")
    repeat = Repeat.UNSAFE if method in ("POST", "DELETE") else Repeat.SAFE
    request = Request(method=method, path=where, query=given, content=content, repeat=repeat)
    return Call(request, _reads_json)


def _given(**fields: Any) -> Json:
    return {name: value for name, value in fields.items() if value is not None}


# --- the caller, accounts and tokens --------------------------------------------------------------


def whoami() -> Call[Json]:
    """Tell whose the token is, and what it may do."""
    return _call("GET", "/v1/account")


def list_accounts(*, cursor: str | None = None) -> Call[Json]:
    """Read one page of accounts."""
    return _call("GET", "/v1/accounts", query={"cursor": cursor, "limit": 200})


def create_account(name: str, *, role: str | None, groups: list[str] | None) -> Call[Json]:
    """Make an account; the answer has its first token."""
    return _call("POST", "/v1/accounts", body=_given(name=name, role=role, groups=groups))


def change_account(name: str, *, role: str | None = None, disabled: bool | None = None) -> Call[Json]:
    """Give an account another role, or let it in no more, or again."""
    return _call("PATCH", "/v1/accounts", name, body=_given(role=role, disabled=disabled))


def _tokens(account: str | None) -> tuple[str, ...]:
    return ("/v1/tokens",) if account is None else ("/v1/accounts", account, "tokens")


def list_tokens(account: str | None) -> Call[Json]:
    """Read the tokens of an account, or the caller's own."""
    return _call("GET", *_tokens(account))


def create_token(account: str | None, **fields: Any) -> Call[Json]:
    """Make a token; the answer shows it this once."""
    return _call("POST", *_tokens(account), body=_given(**fields))


def revoke_token(account: str | None, token: str) -> Call[Json]:
    """Make a token worthless."""
    return _call("DELETE", *_tokens(account), token)


# --- groups ---------------------------------------------------------------------------------------


def list_groups(*, cursor: str | None = None) -> Call[Json]:
    """Read the groups that the caller may see."""
    return _call("GET", "/v1/groups", query={"cursor": cursor})


def create_group(name: str) -> Call[Json]:
    """Make a group."""
    return _call("POST", "/v1/groups", body={"name": name})


def get_group(name: str) -> Call[Json]:
    """Describe a group."""
    return _call("GET", "/v1/groups", name)


def delete_group(name: str) -> Call[Json]:
    """Delete a group."""
    return _call("DELETE", "/v1/groups", name)


def add_member(group: str, account: str) -> Call[Json]:
    """Put an account into a group."""
    return _call("PUT", "/v1/groups", group, "members", account)


def remove_member(group: str, account: str) -> Call[Json]:
    """Take an account out of a group."""
    return _call("DELETE", "/v1/groups", group, "members", account)


# --- the runtime ----------------------------------------------------------------------------------


def list_audit(*, account: str | None, action: str | None, limit: int, cursor: str | None) -> Call[Json]:
    """Read one page of what was changed and refused."""
    query = {"account": account, "action": action, "limit": limit, "cursor": cursor}
    return _call("GET", "/v1/audit", query=query)


def list_executors() -> Call[Json]:
    """Read what the executors said of themselves a moment ago."""
    return _call("GET", "/v1/executors")


def drain(executor: str, *, undo: bool = False) -> Call[Json]:
    """Have an executor take no more work, or take work again."""
    return _call("POST", "/v1/executors", executor, "undrain" if undo else "drain")


def list_dead_letters() -> Call[Json]:
    """Read which queues have dead letters, and how many."""
    return _call("GET", "/v1/admin/dead-letters")


def read_dead_letters(queue: str, *, limit: int) -> Call[Json]:
    """Read the dead letters of a queue."""
    return _call("GET", "/v1/admin/dead-letters", queue, query={"limit": limit})


def replay_dead_letters(queue: str, *, message_id: str | None, limit: int) -> Call[Json]:
    """Put dead letters back where they were meant to go."""
    body = {"message_id": message_id, "limit": limit}
    return _call("POST", "/v1/admin/dead-letters", queue, "replay", body=body)
