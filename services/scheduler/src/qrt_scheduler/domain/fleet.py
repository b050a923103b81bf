"""The executors as the dispatching scheduler knows them: from their heartbeats and its own orders.

Times are readings of one monotonic clock, in seconds, passed in.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from qrt_contracts.events import Heartbeat
from qrt_contracts.values import Isolation
from qrt_scheduler.domain.needs import UNDEMANDING, Ability, Needs

WARM_LOOKED_AT = 32
"""Executors that have an environment warm, of which the one with the most room is taken."""
UNLISTED_GRACE_SECONDS = 5.0
"""How long an order may be on its way before an executor that does not list it has lost it."""


@dataclass(slots=True)
class Lease:
    """A running attempt, and whose word there is for it."""

    job_id: str
    owner: str
    program_id: str
    attempt: int
    executor: str
    incarnation: str
    since: float
    needs: Needs = UNDEMANDING
    cancel_requested: bool = False
    settling: bool = False
    """Its end has been reported and is being stored: no longer to be missed."""
    repeated: bool = False
    """Its order was sent a second time, because the executor did not list it."""


@dataclass(slots=True)
class Executor:
    """One incarnation of an executor."""

    name: str
    incarnation: str
    slots: int
    isolation: Isolation
    draining: bool
    heard: float
    ability: Ability
    held: dict[str, Needs] = field(default_factory=dict)
    """Jobs ordered from it whose end it has not reported, and what they need."""
    full: bool = False
    """It has refused an attempt; its next heartbeat tells whether it has room again."""
    filed: int = 0
    """Under how many free slots the fleet has it."""
    warm: tuple[str, ...] = ()
    """Keys of the environments that are warm in it."""

    @property
    def free(self) -> int:
        """Attempts it would take now."""
        return 0 if self.draining or self.full else max(0, self.slots - len(self.held))

    @property
    def left(self) -> Ability:
        """What the jobs on it leave of its ability."""
        return self.ability.without(self.held.values())

    def takes(self, needs: Needs) -> bool:
        """Whether it has room for a job with these needs now."""
        return self.free > 0 and (self.left if needs.declared else self.ability).suffices(needs)


class Fleet:
    """Executors and leases together, because each heartbeat speaks of both.

    What a heartbeat and a choice cost must not grow with the number of executors: leases are kept by executor
    too, and executors by how many slots they have free.
    """

    def __init__(self, *, lease_seconds: float, memory_seconds: float = 60.0) -> None:
        self._lease_seconds = lease_seconds
        self._memory_seconds = memory_seconds
        self._abilities: dict[Ability, float] = {}
        """What executors could run, and when one was last heard that could; they may come back."""
        self.executors: dict[str, Executor] = {}
        self.leases: dict[str, Lease] = {}
        self._by_executor: dict[str, dict[str, Lease]] = {}
        self._by_room: dict[int, dict[str, Executor]] = {}
        """Executors with so many free slots, at least one, by name."""
        self._warm: dict[str, dict[str, Executor]] = {}
        """Executors in which an environment is warm, by its key and by name."""

    def heard(self, beat: Heartbeat, now: float) -> bool:
        """Take note of a heartbeat; False if it is a late one, of an incarnation that another followed.

        Incarnations sort by the time they began. Where a host's clock was set back in between, the
        new one is believed once the old one has been silent for a lease.
        """
        known = self.executors.get(beat.executor)
        if known and beat.incarnation < known.incarnation:
            return False
        if beat.leaving:
            self._drop(beat.executor)
            return True
        if known is None or known.incarnation != beat.incarnation:
            self._drop(beat.executor)
            known = Executor(
                beat.executor,
                beat.incarnation,
                0,
                beat.isolation,
                beat.draining,
                now,
                Ability.told_by(beat),
            )
            leases = self.leases_of(beat.executor)
            known.held = {lease.job_id: lease.needs for lease in leases if self._runs_on(lease, beat)}
            self.executors[beat.executor] = known
        known.slots, known.isolation, known.draining = beat.slots, beat.isolation, beat.draining
        known.heard, known.full = now, False
        known.ability = Ability.told_by(beat)
        self._file(known)
        self._note_warm(known, beat.warm_environments)
        if beat.slots or beat.draining:  # one that is drained comes back
            self._abilities[known.ability] = now
        return True

    def room(
        self, needs: Needs | None = None, *, spare: Executor | None = None, warm: str | None = None
    ) -> Executor | None:
        """Return the executor with the most room that can take a job now, None if there is none.

        `spare` is kept free for another job. Without `needs`, any room counts. Of those with room, one in
        which the environment `warm` is warm goes first; nobody waits for one.
        """
        if needs and warm and (found := self._warm_room(needs, warm, spare)):
            return found
        for free in sorted(self._by_room, reverse=True):
            for each in self._by_room[free].values():
                if each is not spare and (each.takes(needs) if needs else each.free > 0):
                    return each
        return None

    def _warm_room(self, needs: Needs, warm: str, spare: Executor | None) -> Executor | None:
        some = islice(self._warm.get(warm, {}).values(), WARM_LOOKED_AT)
        fit = (each for each in some if each is not spare and each.takes(needs))
        return max(fit, key=lambda each: each.free, default=None)

    def _note_warm(self, executor: Executor, keys: Sequence[str]) -> None:
        if executor.warm == keys:
            return
        for key in executor.warm:
            self._warm[key].pop(executor.name, None)
            if not self._warm[key]:
                del self._warm[key]
        for key in keys:
            self._warm.setdefault(key, {})[executor.name] = executor
        executor.warm = tuple(dict.fromkeys(keys))

    def keep(self, executor: Executor, job_id: str, needs: Needs) -> None:
        """Keep room on an executor for a job."""
        executor.held[job_id] = needs
        self._file(executor)

    def give_back(self, executor: Executor, job_id: str) -> None:
        """Give up the room kept for a job, if there is any."""
        executor.held.pop(job_id, None)
        self._file(executor)

    def vacate(self, lease: Lease) -> None:
        """Give up the room of an attempt that has ended, though its lease is kept until that is stored."""
        executor = self.executors.get(lease.executor)
        if executor and executor.incarnation == lease.incarnation:
            self.give_back(executor, lease.job_id)

    def refused(self, executor: Executor) -> None:
        """Note that an executor took no attempt: it has no room until it is heard again."""
        executor.full = True
        self._file(executor)

    def _file(self, executor: Executor) -> None:
        """Keep an executor under the number of its free slots, if it still is the one of its name."""
        free = executor.free if self.executors.get(executor.name) is executor else 0
        if free == executor.filed:
            return
        if executor.filed:
            self._by_room[executor.filed].pop(executor.name)
            if not self._by_room[executor.filed]:
                del self._by_room[executor.filed]
        if free:
            self._by_room.setdefault(free, {})[executor.name] = executor
        executor.filed = free

    def _drop(self, name: str) -> None:
        if executor := self.executors.pop(name, None):
            self._file(executor)
            self._note_warm(executor, ())

    def able(self, needs: Needs) -> Executor | None:
        """Return the executor that could be had soonest for a job, were nothing else started there."""
        fit = (each for each in self.executors.values() if self._could(each, needs))
        return min(fit, key=lambda each: (len(each.held), each.name), default=None)

    @staticmethod
    def _could(executor: Executor, needs: Needs) -> bool:
        return executor.slots > 0 and not executor.draining and executor.ability.suffices(needs)

    def recall(self, abilities: Iterable[tuple[Ability, float]]) -> None:
        """Take in what an earlier dispatcher knew, with the moment of each."""
        for ability, heard in abilities:
            self._abilities[ability] = max(heard, self._abilities.get(ability, heard))

    def abilities(self, now: float) -> dict[Ability, float]:
        """Return what executors can run that are there or may come back, and when that was last heard."""
        oldest = now - self._memory_seconds
        self._abilities = {each: heard for each, heard in self._abilities.items() if heard >= oldest}
        return dict(self._abilities)

    def hold(self, lease: Lease) -> None:
        """Record an attempt as running."""
        self.release(lease.job_id)
        self.leases[lease.job_id] = lease
        self._by_executor.setdefault(lease.executor, {})[lease.job_id] = lease
        executor = self.executors.get(lease.executor)
        if executor and executor.incarnation == lease.incarnation:
            self.keep(executor, lease.job_id, lease.needs)

    def release(self, job_id: str) -> Lease | None:
        """Forget the attempt of a job; returns it if there was one."""
        lease = self.leases.pop(job_id, None)
        if lease is None:
            return None
        self._by_executor[lease.executor].pop(job_id)
        if not self._by_executor[lease.executor]:
            del self._by_executor[lease.executor]
        if executor := self.executors.get(lease.executor):
            self.give_back(executor, job_id)
        return lease

    def leases_of(self, executor: str) -> list[Lease]:
        """Return the leases of what was ordered from an executor, of any of its incarnations."""
        return list(self._by_executor.get(executor, {}).values())

    def unlisted(self, beat: Heartbeat, now: float) -> Iterator[Lease]:
        """Yield leases that this heartbeat does not vouch for: of an earlier incarnation, or not listed."""
        listed = {(each.job_id, each.attempt) for each in beat.running}
        for lease in self.leases_of(beat.executor):
            if lease.settling or lease.incarnation > beat.incarnation:
                continue
            gone = lease.incarnation != beat.incarnation or beat.leaving
            vouched = not gone and (lease.job_id, lease.attempt) in listed
            if vouched:
                lease.repeated = False
            elif gone or now - lease.since > UNLISTED_GRACE_SECONDS:
                yield lease

    def ghosts(self, beat: Heartbeat) -> Iterator[tuple[str, int]]:
        """Yield (job, attempt) that the executor runs and nobody has ordered, or no longer wants."""
        for each in beat.running:
            lease = self.leases.get(each.job_id)
            if lease is None or (lease.attempt, lease.incarnation) != (each.attempt, beat.incarnation):
                yield each.job_id, each.attempt

    def silent(self, now: float) -> Iterator[Lease]:
        """Yield leases whose executor has not been heard for the length of a lease."""
        for executor in list(self.executors.values()):
            if now - executor.heard > self._lease_seconds:
                self._drop(executor.name)
        for lease in list(self.leases.values()):
            vouched = self.executors.get(lease.executor)
            gone = vouched is None or vouched.incarnation != lease.incarnation
            if gone and not lease.settling and now - lease.since > self._lease_seconds:
                yield lease

    def longest_silence(self, now: float) -> float:
        """Return for how long nobody has vouched for the attempt that this is longest for; 0 without any."""
        return max((now - self._vouched(lease) for lease in self.leases.values()), default=0.0)

    def _vouched(self, lease: Lease) -> float:
        executor = self.executors.get(lease.executor)
        known = executor is not None and executor.incarnation == lease.incarnation
        return max(lease.since, executor.heard) if executor and known else lease.since

    def forgive(self, now: float) -> None:
        """Start every lease anew: we were the ones who could not hear."""
        for executor in self.executors.values():
            executor.heard = now
        for lease in self.leases.values():
            lease.since = now

    @staticmethod
    def _runs_on(lease: Lease, beat: Heartbeat) -> bool:
        return (lease.executor, lease.incarnation) == (beat.executor, beat.incarnation)
