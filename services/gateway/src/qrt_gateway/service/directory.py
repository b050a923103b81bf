"""Accounts and groups, as administrators keep them."""

from collections.abc import Sequence

from qrt_contracts.faults import Conflict, InvalidRequest, NotFound
from qrt_contracts.rights import Role
from qrt_gateway.domain.accounts import Account, Caller, Group
from qrt_gateway.ports import Clock, DirectoryStore
from qrt_gateway.service.accounts import Accounts

MAX_GROUPS = 1_000
"""Groups of one deployment."""
MAX_GROUPS_OF_ONE = 100
"""Groups of one account: they go with each of its commands."""


class Directory:
    """Keeps accounts and groups. Who may call what is decided by who calls it."""

    def __init__(self, store: DirectoryStore, accounts: Accounts, *, clock: Clock) -> None:
        self._store = store
        self._accounts = accounts
        self._clock = clock

    async def create(self, name: str, *, role: Role, groups: Sequence[str] = ()) -> Account:
        """Create an account, which has no token yet.

        Raises:
            Conflict: the name is taken.
            InvalidRequest: it would be in a group that does not exist.
        """
        await self.require_groups(groups)
        account = Account(name=name, role=role, groups=tuple(sorted(set(groups))), created_at=self._clock())
        if not await self._store.add_account(account):
            raise Conflict(f"there is an account named {name!r} already", field="name")
        return account

    async def account(self, name: str) -> Account:
        """Return an account. Raises: NotFound."""
        if (found := await self._store.account(name)) is None:
            raise NotFound(f"there is no account {name[:64]!r}")
        return found

    async def accounts(self, *, after: str, limit: int) -> list[Account]:
        """Return up to `limit` accounts with names above `after`, by name."""
        return await self._store.accounts(after=after, limit=limit)

    async def change(self, name: str, *, role: Role | None = None, disabled: bool | None = None) -> Account:
        """Change what an account may do: here at once, at other gateways within `MEMORY_SECONDS`.

        Raises:
            NotFound: there is no such account.
            Conflict: nobody would be left to administrate.
        """
        before = await self.account(name)
        wanted_role = before.role if role is None else role
        wanted_disabled = before.disabled if disabled is None else disabled
        steps_down = wanted_disabled or wanted_role is not Role.ADMIN
        if steps_down and await self._store.administrators() == [name]:
            raise _last(name)
        await self._store.change_account(name, role=wanted_role, disabled=wanted_disabled)
        if steps_down and not await self._store.administrators():
            # Another one stepped down at this moment: at least one of the two is told so.
            await self._store.change_account(name, role=before.role, disabled=before.disabled)
            raise _last(name)
        self._accounts.forget(name)
        return await self.account(name)

    async def require_groups(self, names: Sequence[str], *, field: str = "groups") -> None:
        """Return if these groups exist. Raises: InvalidRequest."""
        if not names:
            return
        known = {each.name for each in await self._store.groups(names)}
        if unknown := next((name for name in names if name not in known), None):
            raise InvalidRequest(f"there is no group {unknown!r}", field=field)

    async def require_audience(
        self, caller: Caller, *, groups: Sequence[str] = (), accounts: Sequence[str] = ()
    ) -> None:
        """Return if these groups and accounts exist, for the caller to share something with.

        Whether the caller is in the groups is decided by who keeps what is shared; administrators
        need not be.

        Raises:
            InvalidRequest: one does not exist.
        """
        if caller.admin:
            await self.require_groups(groups)
        known = await self._store.names(accounts) if accounts else set()
        if unknown := next((name for name in accounts if name not in known), None):
            raise InvalidRequest(f"there is no account {unknown!r}", field="accounts")

    async def create_group(self, name: str) -> Group:
        """Create a group that nobody is in. Raises: Conflict."""
        if len(await self._store.groups()) >= MAX_GROUPS:
            raise Conflict(f"there can be {MAX_GROUPS} groups")
        group = Group(name=name, created_at=self._clock())
        if not await self._store.add_group(group):
            raise Conflict(f"there is a group named {name!r} already", field="name")
        return group

    async def groups(self, caller: Caller) -> list[tuple[Group, list[str]]]:
        """Return the groups that the caller is in, or all to an administrator, with their members."""
        found = await self._store.groups(None if caller.admin else caller.groups)
        members = await self._store.members([each.name for each in found])
        return [(each, members[each.name]) for each in found]

    async def group(self, caller: Caller, name: str) -> tuple[Group, list[str]]:
        """Return a group that the caller is in, or any to an administrator. Raises: NotFound."""
        found = await self._store.group(name) if caller.admin or name in caller.groups else None
        if found is None:
            raise NotFound(f"there is no group {name[:64]!r}, or you are not in it")
        return found, (await self._store.members([name]))[name]

    async def delete_group(self, name: str) -> None:
        """Forget a group; what is shared with it stays so, with nobody. Raises: NotFound."""
        if not await self._store.delete_group(name):
            raise _no_group(name)
        self._accounts.forget()

    async def join(self, group: str, name: str) -> None:
        """Put an account into a group. Raises: NotFound, Conflict."""
        if await self._store.group(group) is None:
            raise _no_group(group)
        account = await self.account(name)
        if group not in account.groups and len(account.groups) >= MAX_GROUPS_OF_ONE:
            raise Conflict(f"an account can be in {MAX_GROUPS_OF_ONE} groups")
        await self._store.join(name, group)
        self._accounts.forget(name)

    async def leave(self, group: str, name: str) -> None:
        """Take an account out of a group. Raises: NotFound."""
        if await self._store.group(group) is None:
            raise _no_group(group)
        if not await self._store.leave(name, group):
            raise NotFound(f"there is no account {name[:64]!r}")
        self._accounts.forget(name)


def _last(name: str) -> Conflict:
    return Conflict(f"{name!r} is the last administrator: make another account one first")


def _no_group(name: str) -> NotFound:
    return NotFound(f"there is no group {name[:64]!r}")
