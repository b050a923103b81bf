"""What accounts and tokens may do, and the part of it that travels with a command."""

from enum import StrEnum

from qrt_contracts.message import Value


class Role(StrEnum):
    """What an account may do at all."""

    ADMIN = "admin"
    """Everything, with all accounts' programs and jobs."""
    USER = "user"
    """Its own programs and jobs, and what is shared with it or public."""
    VIEWER = "viewer"
    """Reads what it may see; changes nothing but its own tokens."""


class Scope(StrEnum):
    """One kind of thing that a token may do; a request needs at most one of them."""

    READ = "read"
    RUN = "run"
    """Submit, cancel, share and delete jobs."""
    WRITE = "write"
    """Programs, their versions, credentials, clients, webhooks and tokens."""
    ADMIN = "admin"
    """What administrators alone do, and other accounts' programs and jobs."""


class Rights(Value):
    """What a caller may see besides its own and what is public.

    The gateway alone knows accounts; who keeps a program or a job decides by this, without asking back.
    Without it, as commands of the previous release are, a caller sees its own and what is public.
    """

    groups: tuple[str, ...] = ()
    """Groups the caller is in."""
    all: bool = False
    """Everything, to change as well: the caller is an administrator."""


class Shares(Value):
    """With whom a job is shared: they read it, and can do nothing else with it."""

    groups: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()


class ProgramScope(StrEnum):
    """Which programs to list."""

    OWN = "own"
    VISIBLE = "visible"
    """The caller's own, those shared with a group of the caller, and public ones."""
    ALL = "all"
    """Everybody's; administrators alone."""


class JobScope(StrEnum):
    """Whose jobs to list."""

    ME = "me"
    SHARED = "shared"
    """Those of others that are shared with the caller."""
    ALL = "all"
    """Everybody's; administrators alone."""


NO_RIGHTS = Rights()
NO_SHARES = Shares()
