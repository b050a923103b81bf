"""What each caller of the access matrix may do on each route, said once more and without looking at the code.

`RULES` has an entry for every operation of the native surface; a route without one fails the matrix. What the
matrix compares is an answer of the running services with what follows from these tables.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

READ, RUN, WRITE, ADMIN = "read", "run", "write", "admin"
NOBODYS = "0" * 32
"""An id that nothing has."""
OF_ROLE = {"admin": {READ, RUN, WRITE, ADMIN}, "user": {READ, RUN, WRITE}, "viewer": {READ}}


@dataclass(frozen=True)
class Actor:
    """One kind of caller."""

    name: str
    account: str = ""
    role: str = "user"
    narrowed: tuple[str, ...] | None = None
    """The scopes that its token names."""
    team: bool = False
    """Its account is in the group that things are shared with."""
    valid: bool = True
    """Its token is one that works."""

    @property
    def scopes(self) -> set[str]:
        named = set(OF_ROLE[self.role]) if self.narrowed is None else set(self.narrowed)
        return named & OF_ROLE[self.role]


SINGLE = tuple(
    Actor(f"owner with {scope}", "alice", narrowed=(scope,), team=True) for scope in (READ, RUN, WRITE)
)
ACTORS = (
    Actor("administrator", "admin", "admin"),
    *(Actor(f"administrator with {scope}", "admin", "admin", narrowed=(scope,)) for scope in (READ, ADMIN)),
    Actor("administrator without admin", "admin", "admin", narrowed=(READ, RUN, WRITE)),
    Actor("owner", "alice", team=True),
    *SINGLE,
    Actor("member", "bob", team=True),
    Actor("named", "nora"),
    Actor("stranger", "carol"),
    Actor("viewer in the group", "vera", "viewer", team=True),
    Actor("viewer outside", "victor", "viewer"),
    Actor("nobody", valid=False),
    Actor("unknown token", valid=False),
    Actor("expired token", "alice", valid=False),
    Actor("revoked token", "alice", valid=False),
    Actor("disabled account", "dora", valid=False),
)


@dataclass(frozen=True)
class Thing:
    """Something of Alice's: a program of a visibility, or a job that is shared or is not."""

    kind: str
    shared: str
    """`private`, `group` (a job: also with the account `nora`) or `public`."""

    def seen_by(self, actor: Actor) -> bool:
        if self.owned_by(actor) or self.shared == "public":
            return True
        return self.shared == "group" and (actor.team or (self.kind == "job" and actor.account == "nora"))

    def owned_by(self, actor: Actor) -> bool:
        return actor.account == "alice" or ADMIN in actor.scopes


PROGRAMS = tuple(Thing("program", shared) for shared in ("private", "group", "public"))
JOBS = tuple(Thing("job", shared) for shared in ("private", "group"))


@dataclass(frozen=True)
class Rule:
    """One operation."""

    scope: str | None
    """What the caller's token needs."""
    on: tuple[Thing, ...] = ()
    """What it is done to; nothing in particular if empty."""
    owner: bool = False
    """Whoever merely sees the thing may not."""
    body: Any = None
    bodies: Mapping[str, Any] = field(default_factory=dict)
    """By how the thing is shared, in place of one for all."""
    query: Mapping[str, str] = field(default_factory=dict)
    ok: tuple[int, ...] = (200,)
    """Statuses of callers that may."""
    tokens: bool = False
    """Of tokens of the caller's account, which narrowed ones keep only with `write`."""
    path: Mapping[str, str] = field(default_factory=dict)

    def expected(self, actor: Actor, thing: Thing | None) -> tuple[int, ...]:
        """Return the statuses that are right."""
        if not actor.valid:
            return (401,)
        if self.scope is not None and self.scope not in actor.scopes:
            return (403,)
        if self.tokens and actor.narrowed is not None and WRITE not in actor.narrowed:
            return (403,)
        if thing is not None and not thing.seen_by(actor):
            return (404,)
        if thing is not None and self.owner and not thing.owned_by(actor):
            return (403,)
        return self.ok


SHARES = {"private": {}, "group": {"groups": ["team"], "accounts": ["nora"]}}
"""Of jobs, as they are."""
TEAM, CAROL = {"name": "team"}, {"name": "carol"}
_ABSENT = (404,)
_ANY = (200, 201, 202, 204, 400, 404, 409, 415, 422)
"""Of what others test: only that it is not refused for want of a right."""

RULES: dict[tuple[str, str], Rule] = {
    ("GET", "/v1/programs"): Rule(READ, query={"scope": "visible"}),
    ("POST", "/v1/programs"): Rule(WRITE, body={}, ok=(422,)),
    ("GET", "/v1/programs/{id}"): Rule(READ, PROGRAMS),
    ("PATCH", "/v1/programs/{id}"): Rule(WRITE, PROGRAMS, owner=True, body={}),
    ("DELETE", "/v1/programs/{id}"): Rule(WRITE, PROGRAMS, owner=True, ok=(204,)),
    ("GET", "/v1/programs/{id}/versions"): Rule(READ, PROGRAMS),
    ("POST", "/v1/programs/{id}/versions"): Rule(
        WRITE, PROGRAMS, owner=True, body={"source": "def run("}, ok=(422,)
    ),
    ("GET", "/v1/programs/{id}/versions/{number}"): Rule(READ, PROGRAMS),
    ("GET", "/v1/programs/{id}/versions/{number}/build"): Rule(READ, PROGRAMS),
    ("GET", "/v1/programs/{id}/versions/{number}/build/log"): Rule(READ, PROGRAMS),
    ("GET", "/v1/programs/{id}/source"): Rule(READ, PROGRAMS),
    ("GET", "/v1/programs/{id}/versions/{number}/source"): Rule(READ, PROGRAMS),
    ("GET", "/v1/programs/{id}/versions/{number}/signature"): Rule(READ, PROGRAMS, ok=(200, 404)),
    ("GET", "/v1/jobs"): Rule(READ, query={"owner": "shared"}),
    ("POST", "/v1/jobs"): Rule(RUN, body={}, ok=(422,)),
    ("GET", "/v1/jobs/{id}"): Rule(READ, JOBS),
    ("DELETE", "/v1/jobs/{id}"): Rule(RUN, JOBS, owner=True, ok=(409,)),
    ("POST", "/v1/jobs/{id}/cancel"): Rule(RUN, JOBS, owner=True),
    ("PUT", "/v1/jobs/{id}/shares"): Rule(RUN, JOBS, owner=True, bodies=SHARES),
    ("GET", "/v1/jobs/{id}/input"): Rule(READ, JOBS),
    ("GET", "/v1/jobs/{id}/result"): Rule(READ, JOBS),
    ("GET", "/v1/jobs/{id}/files"): Rule(READ, JOBS),
    ("GET", "/v1/jobs/{id}/files/{name}"): Rule(READ, JOBS, ok=_ABSENT),
    ("GET", "/v1/jobs/{id}/outputs"): Rule(READ, JOBS),
    ("GET", "/v1/jobs/{id}/logs"): Rule(READ, JOBS),
    ("GET", "/v1/jobs/{id}/circuits"): Rule(READ, JOBS),
    ("GET", "/v1/jobs/{id}/stream"): Rule(READ, JOBS),
    ("GET", "/v1/account"): Rule(None),
    ("GET", "/v1/accounts"): Rule(ADMIN),
    ("POST", "/v1/accounts"): Rule(ADMIN, body=CAROL, ok=(409,)),
    ("GET", "/v1/accounts/{name}"): Rule(ADMIN, path=CAROL),
    ("PATCH", "/v1/accounts/{name}"): Rule(ADMIN, path=CAROL, body={}),
    ("GET", "/v1/tokens"): Rule(READ),
    ("POST", "/v1/tokens"): Rule(None, body={}, tokens=True, ok=(201,)),
    ("DELETE", "/v1/tokens/{id}"): Rule(None, tokens=True, ok=_ABSENT),
    ("GET", "/v1/accounts/{name}/tokens"): Rule(ADMIN, path={"name": "dora"}),
    ("POST", "/v1/accounts/{name}/tokens"): Rule(ADMIN, path={"name": "dora"}, body={}, ok=(201,)),
    ("DELETE", "/v1/accounts/{name}/tokens/{id}"): Rule(ADMIN, path={"name": "dora"}, ok=_ABSENT),
    ("GET", "/v1/groups"): Rule(READ),
    ("POST", "/v1/groups"): Rule(ADMIN, body=TEAM, ok=(409,)),
    ("GET", "/v1/groups/{name}"): Rule(READ, (Thing("group", "group"),), path=TEAM),
    ("DELETE", "/v1/groups/{name}"): Rule(ADMIN, path={"name": "none such"}, ok=_ABSENT),
    ("PUT", "/v1/groups/{name}/members/{account}"): Rule(ADMIN, path=TEAM | {"account": "bob"}, ok=(204,)),
    ("DELETE", "/v1/groups/{name}/members/{account}"): Rule(
        ADMIN, path=TEAM | {"account": "carol"}, ok=(204,)
    ),
    ("GET", "/v1/audit"): Rule(ADMIN, query={"limit": "1"}),
    ("GET", "/v1/clients"): Rule(READ),
    ("POST", "/v1/clients"): Rule(WRITE, body={}, ok=(201,)),
    ("DELETE", "/v1/clients/{id}"): Rule(WRITE, ok=_ABSENT),
    ("GET", "/v1/backends"): Rule(READ),
    ("GET", "/v1/backends/{name}"): Rule(READ, path={"name": "none"}, ok=_ABSENT),
    ("GET", "/v1/executors"): Rule(ADMIN),
    ("GET", "/v1/account/credentials/{cloud}"): Rule(READ, ok=_ABSENT),
    ("PUT", "/v1/account/credentials/{cloud}"): Rule(WRITE, body={"token": "x"}, ok=(409,)),
    ("DELETE", "/v1/account/credentials/{cloud}"): Rule(WRITE, ok=_ABSENT),
    ("GET", "/v1/webhooks"): Rule(READ, ok=_ANY),
    ("POST", "/v1/webhooks"): Rule(WRITE, body={}, ok=_ANY),
    ("GET", "/v1/webhooks/{id}"): Rule(READ, ok=_ANY),
    ("PATCH", "/v1/webhooks/{id}"): Rule(WRITE, body={}, ok=_ANY),
    ("DELETE", "/v1/webhooks/{id}"): Rule(WRITE, ok=_ANY),
    ("POST", "/v1/webhooks/{id}/test"): Rule(WRITE, ok=_ANY),
    ("GET", "/v1/webhooks/{id}/deliveries"): Rule(READ, ok=_ANY),
    ("POST", "/v1/webhooks/{id}/deliveries/{delivery}/retry"): Rule(WRITE, ok=_ANY),
    ("GET", "/v1/admin/dead-letters"): Rule(ADMIN, ok=_ANY),
    ("GET", "/v1/admin/dead-letters/{queue}"): Rule(ADMIN, ok=_ANY),
    ("POST", "/v1/admin/dead-letters/{queue}/replay"): Rule(ADMIN, body={}, ok=_ANY),
    ("POST", "/v1/executors/{name}/drain"): Rule(ADMIN, path={"name": "none"}, ok=_ANY),
    ("POST", "/v1/executors/{name}/undrain"): Rule(ADMIN, path={"name": "none"}, ok=_ANY),
}

FILLED = {
    "id": NOBODYS,
    "delivery": NOBODYS,
    "number": "1",
    "name": "none",
    "cloud": "quafu",
    "queue": "none",
}
"""What stands in a path where a rule does not say it."""


def cases(rule: Rule) -> Iterator[tuple[Actor, Thing | None]]:
    """Yield every caller with everything that an operation is done to.

    To what it is done makes no difference to those who are not let in at all.
    """
    for actor in ACTORS:
        things = rule.on or (None,)
        for thing in things if actor.valid else things[:1]:
            yield actor, thing
